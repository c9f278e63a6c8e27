"""A small Kubernetes client on the standard library: JSON in, JSON out, a deadline on every call."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_DEADLINE_SECONDS = 30.0
_NOT_FOUND, _CONFLICT, _ERROR = 404, 409, 400


class ApiError(Exception):
    """The API server answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class KubeApi:
    """Calls to one API server with the credentials of one kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        document = json.loads(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self.server: str = cluster["server"]
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=ca)
        if "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile() as pair:
                pair.write(base64.b64decode(user["client-certificate-data"]))
                pair.write(base64.b64decode(user["client-key-data"]))
                pair.flush()
                self._tls.load_cert_chain(pair.name)

    def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """One request; the answer as JSON, or as text where it is none. Raises ApiError, or OSError out of reach."""
        connection = self._connection(_DEADLINE_SECONDS)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {**self._headers, "Content-Type": content_type})
            answer = connection.getresponse()
            text = answer.read().decode()
        except http.client.HTTPException as error:
            raise OSError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        if answer.status >= _ERROR:
            raise ApiError(answer.status, _message(text))
        return json.loads(text) if text.startswith("{") else text

    def watch(self, path: str, seconds: int = 60) -> Generator[dict[str, Any], None, None]:
        """The changes of a collection; ends after a while. First an empty one: from here on none is missed. Then one
        for each object that is there."""
        connection = self._connection(seconds + _DEADLINE_SECONDS)
        try:
            connection.request("GET", f"{path}?watch=1&timeoutSeconds={seconds}", headers=self._headers)
            answer = connection.getresponse()
            if answer.status >= _ERROR:
                raise ApiError(answer.status, _message(answer.read().decode()))
            yield {}
            for line in answer:
                yield json.loads(line)
        except http.client.HTTPException as error:
            raise OSError(f"watch {path}: {error!r}") from error
        finally:
            connection.close()

    def _connection(self, deadline: float) -> http.client.HTTPSConnection:
        place = urlsplit(self.server)
        return http.client.HTTPSConnection(place.hostname or "", place.port, timeout=deadline, context=self._tls)

    def get(self, path: str) -> Any:
        """Read an object or a list."""
        return self.call("GET", path)

    def create(self, collection: str, document: dict[str, Any]) -> Any:
        """Create the object."""
        return self.call("POST", collection, document)

    def ensure(self, collection: str, document: dict[str, Any]) -> None:
        """Create the object unless one of its name is there."""
        try:
            self.create(collection, document)
        except ApiError as error:
            if error.status != _CONFLICT:
                raise

    def delete(self, path: str) -> None:
        """Delete the object; one that went before is as good as deleted."""
        try:
            self.call("DELETE", path)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:400]
