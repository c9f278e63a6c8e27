"""A small adapter behind the real API server: an aggregated API that says which figures of pods it has."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.cluster.fixtures import Kubernetes
from tests.support.operator import eventually

GROUP, VERSION = "custom.metrics.k8s.io", "v1beta1"


def _resources(figures: tuple[str, ...]) -> dict[str, Any]:
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{GROUP}/{VERSION}",
        "resources": [
            {
                "name": f"pods/{name}",
                "namespaced": True,
                "kind": "MetricValueList",
                "verbs": ["get"],
                "singularName": "",
            }
            for name in figures
        ],
    }


@contextmanager
def adapter(api: Kubernetes, folder: Path, *figures: str) -> Iterator[None]:
    """The API server serves the group while the body runs."""
    answer = json.dumps(_resources(figures)).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.split("?")[0] == f"/apis/{GROUP}/{VERSION}"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(answer if found else b"{}")

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Nothing."""

    server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    server.socket = _tls(folder).wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    api.kubectl("apply", "-f", "-", given="\n---\n".join(map(json.dumps, _registration(port))))
    try:
        path = f"/apis/{GROUP}/{VERSION}"
        eventually(lambda: "pods/" in _raw(api, path) or not figures, "the API server asks the adapter", 180)
        yield
    finally:
        api.kubectl("delete", "apiservice", f"{VERSION}.{GROUP}", "--ignore-not-found")
        api.kubectl("delete", "service,endpointslice", "-n", "default", "adapter", "--ignore-not-found")
        server.shutdown()
        server.server_close()


def _raw(api: Kubernetes, path: str) -> str:
    try:
        return api.kubectl("get", "--raw", path)
    except subprocess.CalledProcessError:
        return ""


def _registration(port: int) -> list[dict[str, Any]]:
    meta = {"name": "adapter", "namespace": "default"}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [{"port": port}]}}
    behind = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": meta | {"labels": {"kubernetes.io/service-name": "adapter"}},
        "addressType": "IPv4",
        "ports": [{"port": port}],
        "endpoints": [{"addresses": [_own_address()], "conditions": {"ready": True}}],
    }
    registered = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{VERSION}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "version": VERSION,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": "adapter", "namespace": "default", "port": port},
        },
    }
    return [service, behind, registered]


def _own_address() -> str:
    """An address of this machine that is not the loopback's, which an endpoint may not be."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anywhere:
        anywhere.connect(("192.0.2.1", 9))  # no packet is sent
        return str(anywhere.getsockname()[0])


def _tls(folder: Path) -> ssl.SSLContext:
    key, certificate = folder / "adapter.key", folder / "adapter.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
