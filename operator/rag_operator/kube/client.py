"""Calls to the API server: bare JSON over the transport, credentials and TLS of `kubernetes.aio`.

Typed models of the client cost 0.81 ms of CPU a call, bare JSON 0.22 (DESIGN §2). Every call has a deadline and is
counted by verb, resource and status, and every write that was taken by kind and verb.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
from kubernetes.aio import client, config

from rag_operator.kube.clock import ServerClock
from rag_operator.kube.errors import ApiUnavailableError, ConflictError, ExpiredError, error_of
from rag_operator.kube.kinds import LEASE, Kind
from rag_operator.kube.metrics import CALLS, NO_ANSWER, WRITES
from rag_operator.kube.page import Page

Object = dict[str, Any]
DEADLINE = 15.0
PAGE = 500
PRODUCT = "rag-operator"
LISTS = 5
"""Attempts at a list that expires between its pages."""
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA_EVENT = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
MISSED = ("FieldValueNotFound", "FieldValueRequired")
"""Causes of a refusal that nothing which is there mends by going."""
_ESCAPED = re.compile("[\x7f-\uffff]")


class Api:
    """The Kubernetes API, as far as this operator uses it."""

    def __init__(self, configuration: client.Configuration) -> None:
        self._configuration = configuration
        self._client = client.ApiClient(configuration)
        self.clock = ServerClock()
        self.may_write: Callable[[], bool] = lambda: True
        """Asked before each write but the Lease's own: a former leader that was frozen sends nothing more."""
        self._user_agent = PRODUCT

    @classmethod
    async def connect(cls, kubeconfig: str | None) -> Api:
        """With a kubeconfig file, or in a pod with its service account."""
        configuration = client.Configuration()
        if kubeconfig:
            await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        else:
            config.load_incluster_config(client_configuration=configuration)
        configuration.retries = None
        # No bound: watches and workers are counted elsewhere, and the Lease's calls wait behind nobody's.
        configuration.connection_pool_maxsize = 0
        # Else each call looks for a ~/.netrc, in a thread. A proxy to the API server is the kubeconfig's to name.
        configuration.client_session_kwargs = {"trust_env": False}
        return cls(configuration)

    def calls_itself(self, version: str, identity: str) -> None:
        """From now on; `identity` is the one in the Lease: the API server's audit log tells replicas apart by it alone.

        The word before the slash is also the manager of fields that are written by no apply.
        """
        self._user_agent = f"{PRODUCT}/{version} ({identity})"

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """The object, read from a quorum; None when it is not there."""
        return await self._json("GET", kind, kind.path(namespace, name), missing_ok=True)

    async def apply(self, kind: Kind, manifest: Object, manager: str, subresource: str = "") -> Object:
        """Server-side apply with force."""
        meta = manifest["metadata"]
        path = kind.path(meta["namespace"], meta["name"], subresource)
        query = urlencode({"fieldManager": manager, "force": "true"})
        written = await self._write("PATCH", kind, f"{path}?{query}", manifest, APPLY)
        WRITES.labels(kind.kind, "apply", subresource).inc()
        return written

    async def create(self, kind: Kind, manifest: Object) -> Object:
        """POST; ConflictError when the name is taken."""
        written = await self._write("POST", kind, kind.path(manifest["metadata"]["namespace"]), manifest)
        WRITES.labels(kind.kind, "create", "").inc()
        return written

    async def replace(self, kind: Kind, manifest: Object) -> Object:
        """PUT with the resourceVersion in the manifest; ConflictError when another wrote meanwhile."""
        meta = manifest["metadata"]
        written = await self._write("PUT", kind, kind.path(meta["namespace"], meta["name"]), manifest)
        WRITES.labels(kind.kind, "update", "").inc()
        return written

    async def merge(self, kind: Kind, live: Object, patch: Object) -> Object:
        """Merge patch guarded by the uid and resourceVersion of what was read."""
        meta = live["metadata"]
        guarded = patch | {
            "metadata": patch.get("metadata", {}) | {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        }
        written = await self._write("PATCH", kind, kind.path(meta["namespace"], meta["name"]), guarded, MERGE)
        WRITES.labels(kind.kind, "patch", "").inc()
        return written

    async def delete(self, kind: Kind, live: Object, propagation: str = "Background") -> None:
        """Delete exactly the object that was read: by uid and resourceVersion. Gone already is fine."""
        meta = live["metadata"]
        options = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": propagation,
            "preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]},
        }
        path = kind.path(meta["namespace"], meta["name"])
        if await self._json("DELETE", kind, path, options, missing_ok=True) is not None:
            WRITES.labels(kind.kind, "delete", "").inc()

    async def pages(
        self, kind: Kind, namespace: str | None, selector: str = "", *, metadata_only: bool = False
    ) -> AsyncIterator[Page]:
        """Pages of a LIST; the items are whole, or only metadata."""
        accept = METADATA_ONLY if metadata_only else "application/json"
        token = ""
        while True:
            query = {"limit": str(PAGE), "labelSelector": selector, "continue": token}
            path = f"{kind.path(namespace)}?{urlencode({k: v for k, v in query.items() if v})}"
            text = await self._call("GET", kind, path, accept=accept, verb="LIST")
            assert text is not None
            with _of_the_api(f"LIST {kind.plural}"):
                page = Page.read(text)
            yield page
            token = page.token
            if not token:
                return

    async def list(self, kind: Kind, namespace: str | None, selector: str = "") -> list[Object]:
        """All objects of a selector; begun anew, a few times, where the server forgets the list between two pages."""
        for _ in range(LISTS):
            with contextlib.suppress(ExpiredError):
                return [item async for page in self.pages(kind, namespace, selector) for item in page.items()]
        raise ApiUnavailableError(f"LIST {kind.plural}: it expired {LISTS} times before its last page")

    async def served(self, kind: Kind) -> frozenset[str]:
        """Plural names of what the kind's group and version serve; none where the server doesn't have them."""
        path = f"/apis/{kind.api_version}"
        found = await self._json("GET", kind, path, missing_ok=True, verb="DISCOVER") or {}
        return frozenset(str(resource["name"]) for resource in found.get("resources") or [])

    async def watch(self, kind: Kind, namespace: str | None, selector: str, version: str) -> AsyncIterator[Object]:
        """Metadata-only watch events until the server closes it (5 min at most); ApiUnavailableError when it breaks."""
        query = {
            "watch": "true",
            "labelSelector": selector,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "300",
        }
        path = f"{kind.path(namespace)}?{urlencode(query)}"
        timeout = aiohttp.ClientTimeout(total=330, sock_connect=10, sock_read=90)
        try:
            response = await self._counted(
                "WATCH", kind, self._send("GET", path, None, {"Accept": METADATA_EVENT}, timeout)
            )
            async with response:
                if response.status >= 400:
                    raise _refusal(response, await response.read())
                async for line in response.content:
                    event: Object = msgspec.json.decode(line)
                    if event["type"] == "ERROR":
                        status = event["object"]
                        raise error_of(int(status.get("code", 500)), str(status.get("message", "")), None)
                    yield event
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            raise ApiUnavailableError(f"watch of {kind.plural} broke: {type(error).__name__}") from error

    async def _write(
        self, method: str, kind: Kind, path: str, body: Object, content_type: str = "application/json"
    ) -> Object:
        answer = await self._json(method, kind, path, body, content_type=content_type)
        if answer is None:
            raise ConflictError(f"{kind.kind} is gone")
        return answer

    async def _json(self, method: str, kind: Kind, path: str, body: Object | None = None, **how: Any) -> Object | None:
        text = await self._call(method, kind, path, body, **how)
        with _of_the_api(f"{method} {kind.plural}"):
            parsed: Object | None = msgspec.json.decode(text) if text is not None else None
        return parsed

    async def _call(  # noqa: PLR0913  one place where a call is made
        self,
        method: str,
        kind: Kind,
        path: str,
        body: Object | None = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        missing_ok: bool = False,
        verb: str = "",
    ) -> bytes | None:
        if method != "GET" and kind is not LEASE and not self.may_write():
            raise ApiUnavailableError(f"{method} {kind.plural}: not sent, since the Lease has not been renewed in time")
        headers = {"Accept": accept, "Content-Type": content_type}
        sending = self._send(method, path, body, headers, aiohttp.ClientTimeout(total=DEADLINE))
        try:
            response = await self._counted(verb or method, kind, sending)
            text = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiUnavailableError(f"{method} {kind.plural}: {type(error).__name__}") from error
        if response.status < 400:
            return text
        if response.status == 404 and missing_ok:
            return None
        raise _refusal(response, text)

    async def _counted(
        self, verb: str, kind: Kind, sending: Awaitable[aiohttp.ClientResponse]
    ) -> aiohttp.ClientResponse:
        code = NO_ANSWER
        try:
            response = await sending
            code = str(response.status)
            self.clock.hear(response.headers.get("Date", ""))
            return response
        finally:
            CALLS.labels(verb, kind.plural, code).inc()

    async def _send(
        self, method: str, path: str, body: Object | None, headers: Mapping[str, str], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        rest = self._client.rest_client
        if rest.pool_manager is None:
            rest.pool_manager = rest._create_pool_manager()
        token = await self._configuration.get_api_key_with_prefix("BearerToken")
        more = {"User-Agent": self._user_agent} | ({"Authorization": token} if token else {})
        session: aiohttp.ClientSession = rest.pool_manager
        data = encoded(body) if body is not None else None
        url = f"{self._configuration.host}{path}"
        return await session.request(
            method, url, data=data, headers={**headers, **more}, timeout=timeout, proxy=rest.proxy
        )


@contextlib.contextmanager
def _of_the_api(about: str) -> Iterator[None]:
    """What a proxy or a portal says in the server's place, with a status of 200, is no answer."""
    try:
        yield
    except ValueError as error:
        raise ApiUnavailableError(f"{about}: what was answered is no object of Kubernetes") from error


def encoded(body: Object) -> bytes:
    """JSON that is YAML of the same meaning too, since the API server reads an apply as YAML.

    There a pair of escaped surrogates is no character, so that what is above U+FFFF stands as it is; a control or a
    line separator that stood as it is would be refused or folded, so that those are escaped.
    """
    text = json.dumps(body)
    if "\\ud" not in text:
        return text.encode()
    text = json.dumps(body, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _refusal(response: aiohttp.ClientResponse, text: bytes) -> Exception:
    message, fields = _said(text, response.status)
    return error_of(response.status, message, response.headers.get("Retry-After"), fields)


def _said(text: bytes, status: int) -> tuple[str, list[str]]:
    """The message of a Status, and the fields that it names as causes; not those that it only misses."""
    try:
        told = json.loads(text)
        causes = (told.get("details") or {}).get("causes") or []
        return str(told.get("message", "")) or f"status {status}", [
            str(cause["field"]) for cause in causes if cause.get("field") and cause.get("reason") not in MISSED
        ]
    except (ValueError, AttributeError):
        return f"status {status}", []
