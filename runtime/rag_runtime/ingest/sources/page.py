"""One page over HTTP: guarded, redirected by hand, bounded in bytes and time."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
from yarl import URL

from rag_runtime.ingest.sources.addresses import AddressRefused, HostRules
from rag_runtime.ingest.sources.base import ItemError, SourceUnavailable
from rag_runtime.ingest.sources.routes import NotResolved, Routes, Untrusting
from rag_runtime.proxies import LoginUnreadable

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LOGIN_WANTED = 407
_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Page:
    """An answer: `url` is where the redirects ended; `body` None means not modified since `validator`."""

    url: URL
    body: bytes | None
    media_type: str | None
    validator: str | None


class PageClient:
    """Gets pages for one source. Connects only to what its rules admit."""

    def __init__(self, name: str, rules: HostRules, max_bytes: int, routes: Routes) -> None:
        self._name = name
        self._rules = rules
        self._max_bytes = max_bytes
        self._routes = routes

    async def get(self, url: URL, validator: str | None = None) -> Page:
        """The page at `url`, with a conditional request when a validator of it is known.

        Raises ItemError: AddressRefused, NotFound, HttpStatus, Unreachable, TimedOut, TooManyRedirects, TooLarge;
        SourceUnavailable where no server could be trusted, or the proxy before it takes no login of ours.
        """
        here = url
        try:
            for _ in range(MAX_REDIRECTS + 1):
                self._rules.check_url(here)
                answer = await self._once(here, validator)
                if isinstance(answer, Page):
                    return answer
                here = answer
        except AddressRefused as error:
            raise self._refused(url, here, error) from error
        except NotResolved as error:
            raise self._problem("Unreachable", url, str(error)) from error
        except (Untrusting, LoginUnreadable) as error:
            raise SourceUnavailable(f"source {self._name!r}: {error}") from error
        except TimeoutError as error:
            raise self._problem("TimedOut", url, "it did not answer in time; check the site, or exclude it") from error
        except (aiohttp.ClientError, ValueError) as error:
            if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefused):
                raise self._refused(url, here, error.os_error) from error
            if isinstance(error, aiohttp.ClientHttpProxyError) and error.status == _LOGIN_WANTED:
                raise self._without_login(here) from error
            raise self._problem("Unreachable", url, _unreachable(error)) from error
        raise self._problem("TooManyRedirects", url, f"more than {MAX_REDIRECTS} redirects; name the final URL")

    async def close(self) -> None:
        """Close the connections."""
        await self._routes.close()

    async def _once(self, url: URL, validator: str | None) -> Page | URL:
        """The page, or where it redirects to."""
        route = await self._routes.to(url)
        headers = _conditions(validator) | route.headers
        async with route.session.get(
            route.url,
            headers=headers,
            proxy=route.proxy,
            proxy_headers=route.login.tunnel,
            server_hostname=route.host,
            allow_redirects=False,
        ) as response:
            if response.status == _LOGIN_WANTED and route.is_passed_on:
                raise self._without_login(url)
            if response.status in _REDIRECTS and (target := response.headers.get("Location")):
                return url.join(URL(target)).with_fragment(None)
            if response.status == 304 and validator:
                return Page(url, None, None, validator)
            if response.status in {404, 410}:
                raise self._problem("NotFound", url, f"status {response.status}; remove the URL, or mend the site")
            if response.status != 200:
                raise self._problem(
                    "HttpStatus", url, f"status {response.status}; check that it may be read without login"
                )
            body = await self._body(response, url)
            return Page(url, body, response.headers.get("Content-Type"), _validator(response))

    async def _body(self, response: aiohttp.ClientResponse, url: URL) -> bytes:
        """The body; counted as it is decompressed, so that a small transfer can't become a large one."""
        parts: list[bytes] = []
        size = response.content_length or 0
        if size <= self._max_bytes:
            size = 0
            async for part in response.content.iter_chunked(_BLOCK):
                size += len(part)
                if size > self._max_bytes:
                    break
                parts.append(part)
        if size > self._max_bytes:
            raise self._problem("TooLarge", url, f"larger than {self._max_bytes} bytes; raise ingestion.maxFileSize")
        return b"".join(parts)

    def _refused(self, url: URL, here: URL, error: AddressRefused) -> ItemError:
        led = "" if here == url else f" it redirects to {here.with_user(None)}, and"
        mend = "list the host in the source's allowedHosts if it may be read"
        return self._problem("AddressRefused", url, f"{led} {error}; {mend}".strip())

    def _without_login(self, url: URL) -> SourceUnavailable:
        return SourceUnavailable(f"source {self._name!r}: {self._routes.login_refused(url)}")

    def _problem(self, reason: str, url: URL, problem: str) -> ItemError:
        return ItemError(reason, f"source {self._name!r}: {url.with_user(None)}: {problem}")


def _unreachable(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refuses to lead there (status {error.status}); ask whoever runs it"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted; name its authority in the pipeline's ingestion.sources.caRef"
    return f"it can't be reached ({error}); check the URL and the site"


def _conditions(validator: str | None) -> dict[str, str]:
    kind, _, value = (validator or "").partition(":")
    if not value:
        return {}
    return {"If-None-Match" if kind == "etag" else "If-Modified-Since": value}


def _validator(response: aiohttp.ClientResponse) -> str | None:
    """The stronger token that the server gives: "etag:…", else "modified:…"."""
    if etag := response.headers.get("ETag"):
        return f"etag:{etag}"
    modified = response.headers.get("Last-Modified")
    return f"modified:{modified}" if modified else None
