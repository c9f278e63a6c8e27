"""One LISTEN connection per bound database: what runs, revisions and pods report there wakes the tenant it is about."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

from rag_operator.engine.context import Binding, Context
from rag_operator.engine.queue import Key
from rag_operator.stores.listen import Lost, Reconnected, listen

log = logging.getLogger(__name__)


class Listeners:
    """The listening tasks, by pipeline. A tenant's incarnation leads to its key."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tasks: dict[Key, tuple[Binding, asyncio.Task[None]]] = {}

    def ensure(self, pipeline: Key, binding: Binding) -> None:
        """Listen for this pipeline, at this address."""
        running = self._tasks.get(pipeline)
        if running and not running[1].done():
            if running[0].address == binding.address and running[0].catalog == binding.catalog:
                return
            running[1].cancel()
        self._tasks[pipeline] = (binding, asyncio.create_task(self._listen(pipeline, binding)))

    def stop(self, pipeline: Key) -> None:
        """The pipeline is gone."""
        running = self._tasks.pop(pipeline, None)
        if running:
            running[1].cancel()

    async def close(self) -> None:
        """End all."""
        tasks = [task for _, task in self._tasks.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, pipeline: Key, binding: Binding) -> None:
        async for message in listen(binding.address, binding.catalog):
            if isinstance(message, Reconnected):
                for key in self._context.registry.tenants_of(pipeline):
                    self._context.queue.add(key, routine=True)
                continue
            if isinstance(message, Lost):
                self._context.queue.add(pipeline)
                continue
            tenant = self._context.incarnations.get(_uuid(message))
            if tenant is not None:
                self._context.queue.add(tenant)


def _uuid(message: str) -> UUID | None:
    try:
        return UUID(message.split(" ", maxsplit=1)[0])
    except ValueError:
        return None
