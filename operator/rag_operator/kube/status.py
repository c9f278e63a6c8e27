"""Status writes: server-side apply of the status subresource, only when it differs from what was read."""

from __future__ import annotations

from typing import Any

from rag_operator.kube.client import Api, Object
from rag_operator.kube.kinds import Kind

STATUS_MANAGER = "rag-operator-status"


async def write_status(api: Api, kind: Kind, live: Object, status: dict[str, Any]) -> Object | None:
    """Bring the status to `status` and return the object; None when it was so already.

    The resourceVersion guards against a re-created object: on the status of a custom resource the API server passes
    over a uid. ConflictError when another wrote since it was read.
    """
    if live.get("status", {}) == status:
        return None
    meta = live["metadata"]
    manifest = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": meta["name"], "namespace": meta["namespace"], "resourceVersion": meta["resourceVersion"]},
        "status": status,
    }
    return await api.apply(kind, manifest, STATUS_MANAGER, "status")
