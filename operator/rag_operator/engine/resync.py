"""The resync: a list per kind and a query per catalog every few minutes, so that what went unheard is not lost.

It also tells a dead watch: an object whose resourceVersion the watch has not delivered, list after list.
"""

from __future__ import annotations

import asyncio
import logging
import time

from rag_operator.api.errors import PermanentError, TransientError
from rag_operator.engine import metrics
from rag_operator.engine.context import Context
from rag_operator.engine.fleet import catalog_marks, list_children
from rag_operator.engine.queue import Key
from rag_operator.kube.kinds import PIPELINE, TENANT
from rag_operator.kube.metrics import WATCHES
from rag_operator.kube.page import Page

log = logging.getLogger(__name__)
GRACE = 20.0
"""Seconds that a watch may lag behind a list before it counts as dead."""
RETRY = 5.0
AT_ONCE = 10
"""Of the tenants that wait for a slot, those that look again at each resync, in case that nobody told them."""


class Resync:
    """Lists both kinds and what tenants have, enqueues what differs, and compares with what the watches delivered."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.watch_dead = False

    async def run(self) -> None:
        """Resync at once and then periodically, for ever."""
        async with asyncio.TaskGroup() as group:
            check: asyncio.Task[None] | None = None
            while True:
                try:
                    listed = await self.once()
                except (TransientError, PermanentError) as error:
                    log.warning("resync: %s", error)
                    await asyncio.sleep(RETRY)
                    continue
                if check is None or check.done():
                    check = group.create_task(self._check_watches(listed))
                await asyncio.sleep(self._context.settings.resync_seconds)

    async def once(self) -> dict[Key, str]:
        """One pass; returns the version of all that is there.

        Objects that vanished unseen are enqueued too, so that what they left is cleaned up.
        """
        metrics.RESYNCS.inc()
        began = time.monotonic()
        listed = await self._list()
        self._context.orphans.all_are_known()
        children, marks = await list_children(self._context), await catalog_marks(self._context)
        metrics.RESYNC_SECONDS.observe(time.monotonic() - began)
        registry, settled = self._context.registry, self._context.settled
        for key in [*registry.pipelines, *registry.tenants]:
            if key not in listed:
                metrics.DIFFERENCES.labels(key.kind, "vanished").inc()
                registry.forget(key)
                settled.drop(key)
                self._context.queue.add(key)
        for pipeline in self._context.waiting:
            self._context.wake_waiting(pipeline, AT_ONCE)
        due = settled.longest_unseen()
        for key in sorted(listed, key=lambda k: k.kind):
            if (
                key.kind == "pipeline"
                or key in due
                or settled.differs(key, listed[key], children.get(key, frozenset()), marks.get(key))
            ):
                self._context.queue.add(key, routine=True)
        return listed

    async def _list(self) -> dict[Key, str]:
        listed: dict[Key, str] = {}
        for kind, word in ((PIPELINE, "pipeline"), (TENANT, "tenant")):
            for namespace in self._context.settings.watch_namespaces or (None,):
                async for page in self._context.api.pages(kind, namespace):
                    found = {Key(word, meta.namespace, meta.name): meta.version for meta in page.metas}  # type: ignore[arg-type]
                    listed |= found
                    self._take_in(page, found)
        return listed

    def _take_in(self, page: Page, found: dict[Key, str]) -> None:
        """What the watch has not delivered yet; a page on which there is none is never built."""
        registry = self._context.registry
        newer = {number: key for number, key in enumerate(found) if registry.behind(key, found[key])}
        items = page.items() if newer else []
        for number, key in newer.items():
            metrics.DIFFERENCES.labels(key.kind, "newer").inc()
            registry.take_in(key, items[number])

    async def _check_watches(self, listed: dict[Key, str]) -> None:
        registry = self._context.registry
        lagging = [key for key, version in listed.items() if registry.behind(key, version)]
        if lagging:
            await asyncio.sleep(GRACE)
            lagging = [key for key in lagging if registry.knows(key) and registry.behind(key, listed[key])]
        self.watch_dead = bool(lagging)
        metrics.WATCH_STALE.set(len(lagging))
        if not lagging:
            for kind in (PIPELINE, TENANT):
                WATCHES.seen(kind.kind)
