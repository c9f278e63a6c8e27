"""kopf's handlers: `on.event` only, and each does one thing: put a key on the queue.

State handlers, timers, daemons and indexes of kopf are avoided on purpose (DESIGN §3): they write annotations and
finalizers, survive relists wrongly, or die with a failed patch. The handlers are coroutines, though they await nothing:
kopf runs plain functions in a thread, and the queue belongs to the event loop.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import kopf

from rag_operator.api import GROUP, VERSION
from rag_operator.engine.context import Context
from rag_operator.engine.queue import Key
from rag_operator.kube.client import PAGE
from rag_operator.kube.kinds import PIPELINE, TENANT
from rag_operator.kube.metrics import WATCHES

IDLE_SECONDS = 0.1
"""kopf keeps a task with the last event of every object for so long: by default for 5 s, so all of a list at once."""
Leads = Callable[[], bool]


class NoDifferences(kopf.DiffBaseStorage):
    """kopf copies every object of every event for handlers of changes, of which there are none here: half its work."""

    def build(self, **_: Any) -> Any:
        """Of an object, what a difference is looked for in: nothing."""
        return {}

    def fetch(self, **_: Any) -> None:
        """What was handled last: unknown."""

    def store(self, **_: Any) -> None:
        """Nothing is kept."""


class EndlessBackoffs:
    """Delays in seconds between kopf's tries of an API call; they never end, since where they end the process ends."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.5, 1.0, 2.0, 5.0), itertools.repeat(10.0))


def registry(context: Context, leads: Leads) -> kopf.OperatorRegistry:
    """kopf's registry with our two watches."""
    found = kopf.OperatorRegistry()

    @kopf.on.login(registry=found)
    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event(GROUP, VERSION, "ragpipelines", registry=found)
    async def pipeline_event(body: kopf.Body, type: str | None, **_: Any) -> None:  # noqa: A002  kopf's name
        _take(context, leads, Key("pipeline", body["metadata"]["namespace"], body["metadata"]["name"]), body, type)

    @kopf.on.event(GROUP, VERSION, "ragtenants", registry=found)
    async def tenant_event(body: kopf.Body, type: str | None, **_: Any) -> None:  # noqa: A002
        _take(context, leads, Key("tenant", body["metadata"]["namespace"], body["metadata"]["name"]), body, type)

    return found


def settings() -> kopf.OperatorSettings:
    """kopf's settings: no Events, no annotations, calls tried for ever."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.persistence.diffbase_storage = NoDifferences()
    chosen.networking.error_backoffs = EndlessBackoffs()
    chosen.networking.request_timeout = 15
    chosen.networking.connect_timeout = 10
    chosen.watching.server_timeout = 300
    chosen.watching.connect_timeout = 10
    chosen.queueing.idle_timeout = IDLE_SECONDS
    chosen.watching.chunk_size = PAGE
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.process.ultimate_exiting_timeout = None  # watches that start anew end no process
    return chosen


def _take(context: Context, leads: Leads, key: Key, body: kopf.Body, kind: str | None) -> None:
    pipeline = context.registry.pipeline_of(key) if key.kind == "tenant" else None
    if kind == "DELETED":
        context.registry.forget(key)
        context.coalescing.forget(key)
        counted = True
    else:
        counted = context.registry.observe(key, dict(body))
        pipeline = context.registry.pipeline_of(key) if key.kind == "tenant" else None
    if not leads():
        return
    WATCHES.seen((PIPELINE if key.kind == "pipeline" else TENANT).kind)
    if kind == "DELETED" or not context.registry.is_echo(key, dict(body)):
        context.queue.add(key)
    if counted and pipeline is not None and context.settings.watches(pipeline.namespace):
        context.queue.add_after(pipeline, context.coalescing.delay(pipeline))
