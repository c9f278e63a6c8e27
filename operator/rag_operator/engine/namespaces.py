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


class Labels:
    """The labels of namespaces as last read, a number for each, by whoever read them: also those who decided on them.

    Else a change that is undone between two looks would stay decided on.
    """

    def __init__(self, registry: Registry, queue: WorkQueue) -> None:
        self._registry = registry
        self._queue = queue
        self._read: dict[str, int] = {}

    def read(self, meta: Object) -> None:
        """Take in a namespace's metadata; other labels than before wake its tenants whose pipeline is elsewhere."""
        labels: Mapping[str, str] = meta.get("labels") or {}
        mark = hash(frozenset(labels.items()))
        if self._read.get(meta["name"]) == mark:
            return
        self._read[meta["name"]] = mark
        for guest in self._registry.guests_in(meta["name"]):
            self._queue.add(guest)


class Namespaces:
    """Reads labels for ever. `named` are the namespaces to ask; empty: all are watched."""

    def __init__(self, api: Api, registry: Registry, labels: Labels, named: tuple[str, ...]) -> None:
        self._api = api
        self._registry = registry
        self._labels = labels
        self._named = named

    async def run(self) -> None:
        """For ever, across every outage."""
        if not self._named:
            await watch_children(self._api, NAMESPACE, None, "", self._labels.read)
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
                self._labels.read(live["metadata"])
