"""The controller: workers that take keys off the queue while this replica leads, and what feeds the queue."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from rag_operator.api import names
from rag_operator.api.errors import PermanentError, TransientError
from rag_operator.decide.failing import failure_of
from rag_operator.engine import metrics
from rag_operator.engine.context import BACK_OFF, Context
from rag_operator.engine.failing import Failing
from rag_operator.engine.listening import Listeners
from rag_operator.engine.namespaces import Namespaces
from rag_operator.engine.pipelines import PipelineReconciler
from rag_operator.engine.queue import Key
from rag_operator.engine.resync import Resync
from rag_operator.engine.tenants import TenantReconciler
from rag_operator.kube.client import Object
from rag_operator.kube.kinds import DEPLOYMENT, JOB, STATEFUL_SET
from rag_operator.kube.metrics import WATCHES
from rag_operator.kube.watch import watch_children

log = logging.getLogger(__name__)
DEADLINE = 120.0
"""Seconds that one reconcile may take; every call within has a shorter one."""


class Controller:
    """Everything that runs only while this replica leads."""

    def __init__(self, context: Context, resync: Resync) -> None:
        self._context = context
        self._resync = resync
        listeners = Listeners(context)
        self._reconcile: dict[str, Callable[[Key], Awaitable[float | None]]] = {
            "pipeline": PipelineReconciler(context, listeners).reconcile,
            "tenant": TenantReconciler(context).reconcile,
        }
        self._listeners = listeners
        self._failing = Failing(context)

    async def lead(self) -> None:
        """Reconcile until cancelled. A new term starts with nothing remembered: every binding takes its epoch anew."""
        self._context.begin_term()
        self._failing.begin_term()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._resync.run())
                period = self._context.settings.resync_seconds
                group.create_task(self._context.discovery.run(period, self._kinds_changed))
                named = self._context.settings.watch_namespaces
                namespaces = Namespaces(self._context.api, self._context.registry, self._context.labels, named)
                group.create_task(namespaces.run())
                for kind in (DEPLOYMENT, STATEFUL_SET, JOB):
                    for namespace in self._context.settings.watch_namespaces or (None,):
                        selector = f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY}"
                        group.create_task(
                            watch_children(self._context.api, kind, namespace, selector, self._child_changed)
                        )
                await self._dispatch(group)
        finally:
            WATCHES.clear()
            await self._listeners.close()

    def _kinds_changed(self) -> None:
        for pipeline in self._context.registry.pipelines:
            self._context.queue.add(pipeline)

    def _child_changed(self, meta: Object) -> None:
        labels = meta.get("labels", {})
        if tenant := labels.get(names.LABEL_TENANT):
            self._context.queue.add(Key("tenant", meta["namespace"], tenant))
            home = labels.get(names.LABEL_PIPELINE_NAMESPACE) or meta["namespace"]
            self._context.wake_waiting(Key("pipeline", home, labels.get(names.LABEL_PIPELINE, "")))
        elif pipeline := labels.get(names.LABEL_PIPELINE):
            self._context.queue.add(Key("pipeline", meta["namespace"], pipeline))

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        """Hand out keys for ever, so many at once: the queue bounds each database, this bounds all."""
        room = asyncio.Semaphore(self._context.settings.workers)
        while True:
            await room.acquire()
            key = await self._context.queue.get()
            group.create_task(self._work(key, room))

    async def _work(self, key: Key, room: asyncio.Semaphore) -> None:
        started = time.monotonic()
        outcome = "error"
        try:
            outcome = await self._one(key)
        finally:
            self._context.queue.done(key)
            room.release()
            metrics.RECONCILES.labels(key.kind, outcome).inc()
            metrics.DURATION.labels(key.kind).observe(time.monotonic() - started)

    async def _one(self, key: Key) -> str:
        queue = self._context.queue
        try:
            async with asyncio.timeout(DEADLINE):
                again = await self._reconcile[key.kind](key)
        except (TransientError, PermanentError, TimeoutError) as error:
            return await self._failed(key, error)
        except Exception as error:  # boundary: one resource's trouble ends no other's work
            log.exception("reconcile failed", extra={"resource": str(key)})
            return await self._failed(key, error)
        await self._failing.over(key)
        if again == BACK_OFF:
            queue.retry(key)
            return "waiting"
        queue.forget(key)
        if again is not None:
            queue.add_after(key, again)
        return "ok"

    async def _failed(self, key: Key, error: Exception) -> str:
        failure = failure_of(error, DEADLINE)
        metrics.ERRORS.labels(key.kind, failure.reason).inc()
        delay = self._context.queue.retry(key, failure.retry_after)
        text, where = "reconcile is tried again in %.1f s: %s", {"resource": str(key)}
        log.log(failure.level, text, delay, failure.why, extra=where)
        await self._failing.note(key, failure.why, time.monotonic())
        return failure.outcome
