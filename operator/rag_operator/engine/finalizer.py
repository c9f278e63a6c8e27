"""Our finalizer: put on before any data is made, taken off when deletion has closed what answers."""

from __future__ import annotations

from rag_operator.api.names import FINALIZER
from rag_operator.engine.context import Context
from rag_operator.engine.queue import key_of
from rag_operator.kube.client import Api, Object
from rag_operator.kube.kinds import Kind


async def add_finalizer(context: Context, kind: Kind, live: Object) -> Object:
    """The object with our finalizer; guarded by what was read."""
    present = live["metadata"].get("finalizers", [])
    written = await context.api.merge(kind, live, {"metadata": {"finalizers": [*present, FINALIZER]}})
    context.registry.wrote(key_of(kind, live), live, written)
    return written


async def drop_finalizer(api: Api, kind: Kind, live: Object) -> None:
    """Let the object go; others' finalizers stay."""
    present = live["metadata"].get("finalizers", [])
    if FINALIZER in present:
        await api.merge(kind, live, {"metadata": {"finalizers": [f for f in present if f != FINALIZER]}})
