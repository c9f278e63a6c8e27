"""Asking the query service as a client would: through `kubectl port-forward`, with a tenant's API key."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.install import Tools


@contextmanager
def forwarded(using: Tools, namespace: str, target: str, port: int = 8000) -> Iterator[str]:
    """A local address that leads to a Service, for as long as the block runs."""
    command = [using.kubectl_program, "port-forward", "-n", namespace, target, f":{port}", "--address=127.0.0.1"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=using.environment()
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        if not found:
            raise RuntimeError(f"port-forward: {process.stderr.read() if process.stderr else line}")
        yield f"http://127.0.0.1:{found[1]}"
    finally:
        process.terminate()
        process.communicate(timeout=60)


def api_key(using: Tools, namespace: str, tenant: str) -> str:
    """The tenant's API key, from its Secret."""
    secret = using.get("secret", f"{tenant}-api-key", namespace)
    return base64.b64decode(secret["data"]["api-key"]).decode()


def post(url: str, key: str, body: dict[str, Any], deadline: float = 30) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a POST."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=deadline) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")
