"""The resync: a list per kind and a query per catalog every few minutes, so that what went unheard is not lost.

It also tells a dead watch: one that delivers nothing of what a list has shown, look after look.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from rag_operator.api.errors import PermanentError, TransientError
from rag_operator.engine import metrics
from rag_operator.engine.context import Context
from rag_operator.engine.fleet import catalog_marks, list_children
from rag_operator.engine.places import Places
from rag_operator.engine.queue import Key
from rag_operator.engine.registry import Registry
from rag_operator.kube.kinds import PIPELINE, TENANT
from rag_operator.kube.metrics import WATCHES
from rag_operator.kube.page import Page

log = logging.getLogger(__name__)
GRACE = 20.0
"""Seconds between a list and the first look at a watch that lags behind it, and between further looks."""
RETRY = 5.0
AT_ONCE = 10
"""Of the tenants that wait for a slot, those that look again at each resync, in case that nobody told them."""


class Delivery:
    """Whether the watches deliver what a list shows."""

    def __init__(self, registry: Registry, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._registry = registry
        self._sleep = sleep
        self.dead = False

    async def check(self, listed: dict[Key, str]) -> None:
        """Look until nothing lags: dead is a watch that has delivered nothing between two looks, until it does.

        The list itself is no look, so that what comes within two GRACE makes no watch dead.
        """
        before: int | None = None
        lagging = self._lagging(listed)
        while lagging:
            await self._sleep(GRACE)
            lagging = {key: version for key, version in self._lagging(lagging).items() if self._registry.knows(key)}
            self.dead, before = len(lagging) == before, len(lagging)
            metrics.WATCH_STALE.set(before)
        self.dead = False
        metrics.WATCH_STALE.set(0)
        for kind in (PIPELINE, TENANT):
            WATCHES.seen(kind.kind)

    def _lagging(self, listed: dict[Key, str]) -> dict[Key, str]:
        return {key: version for key, version in listed.items() if self._registry.behind(key, version)}


class Resync:
    """Lists both kinds and what tenants have, enqueues what differs, and compares with what the watches delivered."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._delivery = Delivery(context.registry)

    @property
    def watch_dead(self) -> bool:
        """Whether the watches of our kinds deliver no more."""
        return self._delivery.dead

    async def run(self) -> None:
        """Resync at once and then periodically, for ever."""
        async with asyncio.TaskGroup() as group:
            check: asyncio.Task[None] | None = None
            while True:
                listed = await self._round()
                if listed is None:
                    await asyncio.sleep(RETRY)
                    continue
                if check is None or check.done():
                    check = group.create_task(self._delivery.check(listed))
                await asyncio.sleep(self._context.settings.resync_seconds)

    async def _round(self) -> dict[Key, str] | None:
        """As `once`; None where it failed."""
        try:
            return await self.once()
        except (TransientError, PermanentError) as error:
            log.warning("resync: %s", error)
        except Exception:  # boundary: what one round meets ends no term
            log.exception("resync failed")
        metrics.RESYNC_FAILURES.inc()
        return None

    async def once(self) -> dict[Key, str]:
        """One pass; returns the version of all that is there.

        Objects that vanished unseen are enqueued too, so that what they left is cleaned up.
        """
        metrics.RESYNCS.inc()
        began = time.monotonic()
        registry, settled = self._context.registry, self._context.settled
        before, places = registry.known(), Places(self._context.api, self._context.settings)
        listed = await self._list(places)
        self._context.orphans.all_are_known(places.refused)
        children, marks = await list_children(self._context), await catalog_marks(self._context)
        metrics.RESYNC_SECONDS.observe(time.monotonic() - began)
        for key in registry.vanished(before, listed):
            if key.namespace not in places.refused:
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

    async def _list(self, places: Places) -> dict[Key, str]:
        listed: dict[Key, str] = {}
        for kind, word in ((PIPELINE, "pipeline"), (TENANT, "tenant")):
            async for page in places.pages(kind):
                found = {Key(word, meta.namespace, meta.name): meta.version for meta in page.metas}  # type: ignore[arg-type]
                listed |= found
                self._take_in(page, found)
        for namespace, why in places.refused.items():
            log.warning("resync: namespace %s is left out: %s", namespace, why)
        return listed

    def _take_in(self, page: Page, found: dict[Key, str]) -> None:
        """What the watch has not delivered yet; a page on which there is none is never built."""
        registry = self._context.registry
        newer = {number: key for number, key in enumerate(found) if registry.behind(key, found[key])}
        items = page.items() if newer else []
        for number, key in newer.items():
            metrics.DIFFERENCES.labels(key.kind, "newer").inc()
            registry.take_in(key, items[number])
