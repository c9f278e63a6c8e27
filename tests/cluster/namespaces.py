"""Namespaces of a test's own: made with a name that nobody else has, deleted without waiting for the last object."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.kube_api import ApiError, KubeApi
from tests.cluster.processes import wait_until

_LONGEST_STEM = 40
_USABLE_SECONDS = 120.0


def stem(text: str) -> str:
    """What of a test's name fits into a namespace's."""
    cleaned = re.sub(r"[^a-z0-9]+", "-", text.lower().removeprefix("test_"))
    return cleaned[:_LONGEST_STEM].strip("-") or "test"


@contextmanager
def make_namespace(api: KubeApi, name: str, labels: dict[str, str] | None = None) -> Iterator[str]:
    """A namespace for the body, usable at once: its default service account is there."""
    unique = f"{stem(name)}-{secrets.token_hex(3)}"
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": unique, "labels": labels or {}}}
    api.create("/api/v1/namespaces", document)
    try:
        if not wait_until(lambda: _has_account(api, unique), _USABLE_SECONDS):
            raise TimeoutError(f"namespace {unique} has no default service account after {_USABLE_SECONDS:.0f} s")
        yield unique
    finally:
        api.delete(f"/api/v1/namespaces/{unique}")


def _has_account(api: KubeApi, namespace: str) -> bool:
    try:
        api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
    except ApiError:
        return False
    return True
