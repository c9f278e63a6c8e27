"""Kubeconfig documents that stand alone: certificates inside, one context. JSON, which every YAML reader reads."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.cluster.certificates import Authority


def with_certificate(server: str, authority: Authority, user: str, name: str) -> dict[str, Any]:
    """A kubeconfig for the client whose pair the authority signed under `user`."""
    credentials = {"client-certificate-data": _data(authority.crt(user)), "client-key-data": _data(authority.key(user))}
    return _document(server, _data(authority.crt("ca")), credentials, name)


def for_token(administrator: Path, token: str, name: str) -> dict[str, Any]:
    """A kubeconfig for a bearer token, such as a service account's, on the cluster of another kubeconfig."""
    cluster = json.loads(administrator.read_text())["clusters"][0]["cluster"]
    return _document(cluster["server"], cluster["certificate-authority-data"], {"token": token}, name)


def write(path: Path, document: dict[str, Any]) -> Path:
    """Write the document, readable by its owner only."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=1))
    return path


def _document(server: str, ca: str, credentials: dict[str, str], name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": name, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        "current-context": name,
    }


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
