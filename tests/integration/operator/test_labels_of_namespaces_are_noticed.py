"""A12: tenants in other namespaces are looked at again when the labels of their namespace change, and only then."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rag_operator.engine import namespaces
from rag_operator.engine.namespaces import Labels, Namespaces
from rag_operator.engine.queue import Key, WorkQueue
from rag_operator.engine.registry import Registry
from rag_operator.kube.client import Api, Object
from tests.cluster.fixtures import Kubernetes
from tests.support.operator import tenant

pytestmark = pytest.mark.integration
NOTE = "someone.example/note"


class Heard(Labels):
    """Labels, and the notes of all namespaces whose labels were read."""

    def __init__(self, registry: Registry, queue: WorkQueue) -> None:
        super().__init__(registry, queue)
        self.notes: list[str] = []
        self._more = asyncio.Event()

    def read(self, meta: Object) -> None:
        """Take it in, and then its note."""
        super().read(meta)
        self.notes.append((meta.get("annotations") or {}).get(NOTE, ""))
        self._more.set()

    async def note(self, note: str) -> None:
        """Wait until that one has been read."""
        async with asyncio.timeout(60):
            while note not in self.notes:
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def noticing(api: Kubernetes, namespace: str, *, named: bool) -> AsyncIterator[tuple[WorkQueue, Heard]]:
    """A queue that is fed while a tenant of a pipeline elsewhere lives in the namespace."""
    registry = Registry()
    body = tenant(pipelineRef={"name": "support", "namespace": "elsewhere"})
    registry.take_in(Key("tenant", namespace, "acme"), body | {"metadata": {"name": "acme", "namespace": namespace}})
    beside = tenant("beside")
    registry.take_in(Key("tenant", namespace, "beside"), beside | {"metadata": {"name": "b", "namespace": namespace}})
    queue = WorkQueue(time.monotonic, lambda: 0.0)
    labels = Heard(registry, queue)
    client = await Api.connect(str(api.kubeconfig))
    names = (namespace, "default") if named else ()
    task = asyncio.create_task(Namespaces(client, registry, labels, names).run())
    try:
        yield queue, labels
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await client.close()


@pytest.mark.parametrize("named", [False, True], ids=["watched", "asked by name"])
async def test_a_changed_label_wakes_the_guests_and_nothing_else_does(
    api: Kubernetes, api_namespace: str, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespaces, "PERIOD", 0.2)
    guest = Key("tenant", api_namespace, "acme")

    async def woken(queue: WorkQueue) -> None:
        key = await asyncio.wait_for(queue.get(), 60)
        queue.done(key)
        assert key == guest

    def change(*arguments: str) -> None:
        api.kubectl(*arguments[:1], "namespace", api_namespace, "--overwrite", *arguments[1:])

    async with noticing(api, api_namespace, named=named) as (queue, labels):
        await woken(queue)
        change("label", "rag.example/tenants=true")
        await woken(queue)
        change("annotate", f"{NOTE}=1")
        await labels.note("1")
        assert queue.waiting() == {}
        labels.read({"name": api_namespace, "labels": {"decided": "on what is gone again before the next look"}})
        await woken(queue)
        change("annotate", f"{NOTE}=2")
        await woken(queue)
        change("label", "rag.example/tenants-")
        await woken(queue)
