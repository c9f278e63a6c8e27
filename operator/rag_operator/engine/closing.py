"""Closing the answers of a tenant that goes on standing: its pipeline takes it no longer, or nobody may look at it."""

from __future__ import annotations

import logging

from rag_operator.engine import audit
from rag_operator.engine.audit import Action, Entry
from rag_operator.engine.context import Context
from rag_operator.engine.queue import Key
from rag_operator.kube.client import Object
from rag_operator.kube.kinds import TENANT
from rag_operator.stores.erasure import deactivate
from rag_operator.stores.errors import StoreProblem, StoreTrouble
from rag_operator.stores.tenant_rows import ACTIVE, read_tenant

log = logging.getLogger(__name__)


async def shut(context: Context, pipeline: Key, about: Object, why: str) -> None:
    """Refuse the tenant's keys and its ingestion login; its data stay. `about` has namespace, name and uid at least.

    Where the pipeline isn't bound there is nothing to write to: one that comes to be bound wakes its tenants.
    """
    binding, meta = context.reach(pipeline), about["metadata"]
    if binding is None:
        return
    async with context.transaction(binding) as tx:
        row = await read_tenant(tx, meta["namespace"], meta["name"])
        if row is None or not row.is_of(meta["uid"]):
            return
        await deactivate(tx, meta["namespace"], meta["name"], meta["uid"])
    if row.state == ACTIVE:
        entry = Entry(Action.CLOSED, f"answers are closed, since {why}", details={"incarnation": str(row.id)})
        audit.record(context, TENANT, about, entry)


async def shut_unseen(context: Context, key: Key) -> None:
    """Close a tenant that may not be read any more, where a watch has told that it is being deleted.

    A namespace's Role goes with all else in it, maybe before its tenants; and a deletion is never taken back.
    """
    pipeline, uid = context.registry.pipeline_of(key), context.registry.leaving(key)
    if pipeline is None or uid is None:
        return
    about = {"metadata": {"namespace": key.namespace, "name": key.name, "uid": uid}}
    try:
        await shut(context, pipeline, about, "it is being deleted, and the operator may not look at it any more")
    except (StoreProblem, StoreTrouble) as trouble:
        log.warning("%s can't be closed yet: %s", key, trouble)
