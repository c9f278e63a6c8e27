"""Looking for orphans when a pipeline is bound to its database, and again after each resync."""

from __future__ import annotations

import logging

from rag_operator.engine import announce
from rag_operator.engine.context import Binding, Context
from rag_operator.engine.orphans import orphans
from rag_operator.engine.queue import Key
from rag_operator.kube.kinds import PIPELINE
from rag_operator.stores.errors import StoreProblem, StoreTrouble
from rag_operator.stores.holdings import read_holdings

REASON = "OrphansFound"
log = logging.getLogger(__name__)


async def look_for_orphans(context: Context, key: Key, binding: Binding) -> None:
    """Count what nobody claims, and tell of it in one Event where that is news. Trouble in looking stops nothing."""
    if not context.orphans.is_due(key, binding.epoch):
        return
    try:
        async with context.transaction(binding) as tx:
            held = await read_holdings(tx)
    except (StoreProblem, StoreTrouble) as trouble:
        log.warning("orphans can't be looked for: %s", trouble, extra={"resource": str(key)})
        return
    found = orphans(held, set(context.registry.tenants_of(key))).outside(context.orphans.unlisted)
    if news := context.orphans.note(key, binding.epoch, found):
        about = {"metadata": binding.pipeline.metadata.model_dump(by_alias=True)}
        await announce.tell(context, PIPELINE, about, REASON, news)
