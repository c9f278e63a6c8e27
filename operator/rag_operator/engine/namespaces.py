"""Labels of namespaces say which tenants a pipeline takes: a change wakes those whom it may concern.

The whole cluster is watched, metadata only. An operator of named namespaces may only read those by name, and asks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from rag_operator.api.errors import PermanentError, TransientError
from rag_operator.engine.context import Context
from rag_operator.kube.client import Object
from rag_operator.kube.kinds import NAMESPACE
from rag_operator.kube.watch import watch_children

log = logging.getLogger(__name__)
PERIOD = 10.0
"""Seconds between two looks at a namespace that can't be watched, while tenants of pipelines elsewhere live there."""


class Namespaces:
    """The labels seen last, as a number for each namespace."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._labels: dict[str, int] = {}

    async def run(self) -> None:
        """For ever, across every outage."""
        if not self._context.settings.watch_namespaces:
            await watch_children(self._context.api, NAMESPACE, None, "", self._seen)
        while True:
            await self._look()
            await asyncio.sleep(PERIOD)

    async def _look(self) -> None:
        for name in self._context.settings.watch_namespaces:
            if not self._context.registry.guests_in(name):
                continue
            try:
                live = await self._context.api.get(NAMESPACE, None, name)
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
        for guest in self._context.registry.guests_in(meta["name"]):
            self._context.queue.add(guest)
