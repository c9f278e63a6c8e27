"""Labels of namespaces say which tenants a pipeline takes: a change wakes those whom it may concern.

The whole cluster is watched, metadata only. An operator of named namespaces may only read those by name, and asks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from rag_operator.api.errors import PermanentError, TransientError
from rag_operator.engine.queue import WorkQueue
from rag_operator.engine.registry import Registry
from rag_operator.kube.client import Api, Object
from rag_operator.kube.kinds import NAMESPACE
from rag_operator.kube.watch import watch_children

log = logging.getLogger(__name__)
PERIOD = 10.0
"""Seconds between two looks at a namespace that can't be watched, while tenants of pipelines elsewhere live there."""


class Namespaces:
    """The labels seen last, as a number for each namespace. `named` are those to ask; empty: all are watched."""

    def __init__(self, api: Api, registry: Registry, queue: WorkQueue, named: tuple[str, ...]) -> None:
        self._api = api
        self._registry = registry
        self._queue = queue
        self._named = named
        self._labels: dict[str, int] = {}

    async def run(self) -> None:
        """For ever, across every outage."""
        if not self._named:
            await watch_children(self._api, NAMESPACE, None, "", self._seen)
        while True:
            await self._look()
            await asyncio.sleep(PERIOD)

    async def _look(self) -> None:
        for name in self._named:
            if not self._registry.guests_in(name):
                continue
            try:
                live = await self._api.get(NAMESPACE, None, name)
            except (TransientError, PermanentError) as error:
                log.warning("namespace %s: %s", name, error)
                continue
            if live is not None:
                self._seen(live["metadata"])

    def _seen(self, meta: Object) -> None:
        labels: Mapping[str, str] = meta.get("labels") or {}
        mark = hash(frozenset(labels.items()))
        if self._labels.get(meta["name"]) == mark:
            return
        self._labels[meta["name"]] = mark
        for guest in self._registry.guests_in(meta["name"]):
            self._queue.add(guest)
