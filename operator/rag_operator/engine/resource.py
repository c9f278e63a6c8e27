"""The look with which every reconcile begins: at the resource itself, as it stands, and not as a watch told of it."""

from __future__ import annotations

from rag_operator.engine.context import Context
from rag_operator.engine.queue import Key
from rag_operator.kube.client import Object
from rag_operator.kube.kinds import PIPELINE, TENANT


async def read_resource(context: Context, key: Key) -> Object | None:
    """The resource, None where there is none: then it is forgotten, also where an old page of a list has shown it."""
    registry = context.registry
    delivered, counting = registry.delivered.get(key), registry.pipeline_of(key)
    live = await context.api.get(PIPELINE if key.kind == "pipeline" else TENANT, key.namespace, key.name)
    forgotten = live is None and registry.found_gone(key, delivered)
    if forgotten and counting is not None and context.settings.watches(counting.namespace):
        context.queue.add_after(counting, context.coalescing.delay(counting))
    return live
