"""All tenants at a glance: what their namespaces list of their children, and what their catalogs say, in few calls."""

from __future__ import annotations

import asyncio
import logging

from rag_operator.api import names
from rag_operator.engine.context import Binding, Context
from rag_operator.engine.places import Places
from rag_operator.engine.queue import Key
from rag_operator.engine.settled import Children, catalog_mark, mark_of
from rag_operator.kube.kinds import CONFIG_MAP, CRON_JOB, NETWORK_POLICY
from rag_operator.stores.errors import StoreProblem, StoreTrouble
from rag_operator.stores.leases import read_leases
from rag_operator.stores.tenant_rows import glance

log = logging.getLogger(__name__)
AT_ONCE = 8
"""Catalogs that a resync reads side by side: each may be ten thousand rows."""
SOON = 10.0
"""Seconds that a resync waits for a catalog. All databases' tenants wait for the resync."""
_SELECTOR = f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY},{names.LABEL_TENANT}"


async def list_children(context: Context) -> dict[Key, Children]:
    """The CronJobs, ConfigMaps and NetworkPolicies of each tenant, of which only metadata are read."""
    found: dict[Key, set[str]] = {}
    policies = (NETWORK_POLICY,) if context.registry.has_guests() else ()
    for kind in (CRON_JOB, CONFIG_MAP, *policies):
        async for page in Places(context.api, context.settings).pages(kind, _SELECTOR, metadata_only=True):
            for meta in page.metas:
                key = Key("tenant", meta.namespace, meta.labels[names.LABEL_TENANT])
                found.setdefault(key, set()).add(mark_of(meta.uid, meta.generation, meta.version))
    return {key: frozenset(marks) for key, marks in found.items()}


async def catalog_marks(context: Context) -> dict[Key, int]:
    """What each tenant's catalog says of it; a database that doesn't, or not soon, is left out."""
    room = asyncio.Semaphore(AT_ONCE)

    async def read(pipeline: Key, binding: Binding) -> dict[Key, int]:
        try:
            async with room:
                return await _marks(context, pipeline, binding)
        except (StoreProblem, StoreTrouble) as trouble:
            log.warning("resync: the catalog of %s can't be read: %s", pipeline, trouble)
        except Exception:  # boundary: one database's trouble is its own
            log.exception("resync: the catalog of %s can't be read", pipeline)
        return {}

    found = await asyncio.gather(*(read(*one) for one in context.bindings.items()))
    return {key: mark for marks in found for key, mark in marks.items()}


async def _marks(context: Context, pipeline: Key, binding: Binding) -> dict[Key, int]:
    async with context.transaction(binding, SOON) as tx:
        rows, leases = await glance(tx), await read_leases(tx)
    marks = {Key("tenant", row.namespace, row.name): catalog_mark(row, leases) for row in rows}
    # Another's catalog may keep data of a tenant's name.
    return {key: mark for key, mark in marks.items() if context.registry.pipeline_of(key) == pipeline}
