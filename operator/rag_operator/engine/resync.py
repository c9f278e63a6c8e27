"""The resync: one paginated list per kind every few minutes, so that no lost event is lost for good.

It also tells a dead watch: an object whose resourceVersion the watch has not delivered, list after list.
"""

from __future__ import annotations

import asyncio
import logging

from rag_operator.api.errors import PermanentError, TransientError
from rag_operator.engine import metrics
from rag_operator.engine.context import Context
from rag_operator.engine.queue import Key
from rag_operator.kube.kinds import PIPELINE, TENANT

log = logging.getLogger(__name__)
GRACE = 20.0
"""Seconds that a watch may lag behind a list before it counts as dead."""
RETRY = 5.0


class Resync:
    """Lists both kinds, enqueues every key, and compares with what the watches delivered."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.watch_dead = False

    async def run(self) -> None:
        """Resync at once and then periodically, for ever."""
        while True:
            try:
                await self.once()
            except (TransientError, PermanentError) as error:
                log.warning("resync: %s", error)
                await asyncio.sleep(RETRY)
                continue
            await asyncio.sleep(self._context.settings.resync_seconds)

    async def once(self) -> None:
        """One pass; objects that vanished unseen are enqueued too, so that what they left is cleaned up."""
        metrics.RESYNCS.inc()
        listed = await self._list()
        registry = self._context.registry
        for key in [*registry.pipelines, *registry.tenants]:
            if key not in listed:
                registry.forget(key)
                self._context.queue.add(key)
        for key in sorted(listed, key=lambda k: k.kind):
            self._context.queue.add(key)
        await self._check_watches(listed)

    async def _list(self) -> dict[Key, str]:
        listed: dict[Key, str] = {}
        delivered = dict(self._context.registry.delivered)
        for kind, word in ((PIPELINE, "pipeline"), (TENANT, "tenant")):
            for namespace in self._context.settings.watch_namespaces or (None,):
                async for items, _ in self._context.api.pages(kind, namespace):
                    for item in items:
                        meta = item["metadata"]
                        key = Key(word, meta["namespace"], meta["name"])  # type: ignore[arg-type]
                        listed[key] = meta["resourceVersion"]
                        if key not in delivered:
                            self._context.registry.observe(key, item)
        return listed

    async def _check_watches(self, listed: dict[Key, str]) -> None:
        delivered = self._context.registry.delivered
        lagging = [key for key, version in listed.items() if _older(delivered.get(key), version)]
        if lagging:
            await asyncio.sleep(GRACE)
            lagging = [key for key in lagging if key in delivered and _older(delivered.get(key), listed[key])]
        self.watch_dead = bool(lagging)
        metrics.WATCH_STALE.set(len(lagging))


def _older(have: str | None, listed: str) -> bool:
    return have is None or (have.isdigit() and listed.isdigit() and int(have) < int(listed))
