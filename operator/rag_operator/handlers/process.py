"""The operator process: election, kopf, probes and metrics side by side, until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import signal
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import kopf
from prometheus_client import REGISTRY

from rag_operator.engine.coalesce import Coalescing
from rag_operator.engine.context import Context
from rag_operator.engine.controller import Controller
from rag_operator.engine.figures import Figures
from rag_operator.engine.namespaces import Labels
from rag_operator.engine.queue import WorkQueue
from rag_operator.engine.registry import Registry
from rag_operator.engine.resync import Resync
from rag_operator.engine.settings import Settings
from rag_operator.handlers import probes, watches
from rag_operator.kube.client import Api
from rag_operator.kube.discovery import Discovery
from rag_operator.kube.lease import Election
from rag_operator.stores.database import Databases

log = logging.getLogger(__name__)
WATCH_AGAIN = 3.0
STALLED_SECONDS = 600.0
"""A key that waits so long though its lane has room: the workers hang."""


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    _stop_on_signals(stop)
    api = await Api.connect(settings.kubeconfig)
    async with Databases(settings.identity) as databases:
        try:
            await _serve(context_of(settings, api, databases), stop)
        finally:
            await api.close()


def context_of(settings: Settings, api: Api, databases: Databases) -> Context:
    """What reconcilers work with, on this machine's clocks and randomness."""
    registry = Registry()
    queue = WorkQueue(time.monotonic, random.random, registry.lane)
    return Context(
        settings=settings,
        api=api,
        discovery=Discovery(api),
        databases=databases,
        queue=queue,
        registry=registry,
        coalescing=Coalescing(time.monotonic),
        labels=Labels(registry, queue),
        now=lambda: datetime.now(UTC),
        new_id=uuid.uuid4,
        new_password=lambda: secrets.token_urlsafe(32),
    )


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def _serve(context: Context, stop: asyncio.Event) -> None:
    settings = context.settings
    resync = Resync(context)
    election = _election_of(context)
    controller = Controller(context, resync)
    watching = asyncio.Event()

    def live() -> str:
        if resync.watch_dead:
            return "a watch of our kinds is dead: a list shows objects that it has not delivered"
        age = context.queue.stalled() if election.is_leader else 0.0
        return f"a key has waited {age:.0f} s for a worker" if age > STALLED_SECONDS else ""

    def ready() -> str:
        return "" if watching.is_set() else "the watches have not started yet"

    REGISTRY.register(Figures(context, election))
    runners = [
        await probes.serve(settings.probe_port, live, ready),
        await probes.serve_metrics(settings.metrics_port),
    ]
    tasks = [
        asyncio.create_task(election.run(controller.lead), name="election"),
        asyncio.create_task(_kopf(context, election, stop, watching), name="kopf"),
        asyncio.create_task(_stopped(stop), name="stop"),
    ]
    try:
        await _until_one_ends(tasks)
    finally:
        stop.set()
        for runner in runners:
            await runner.cleanup()


def _election_of(context: Context) -> Election:
    """This process as a candidate: it says who it is with each request, and writes while it leads."""
    api, settings = context.api, context.settings
    identity = f"{settings.identity}-{context.new_id().hex[:6]}"
    election = Election(api, settings.namespace, settings.lease_name, identity, time.monotonic)
    api.calls_itself(settings.release.version, identity)
    api.may_write = election.holds
    return election


async def _stopped(stop: asyncio.Event) -> None:
    await stop.wait()


async def _until_one_ends(tasks: list[asyncio.Task[None]]) -> None:
    """Wait for the first to end and end the others; raises what ended it."""
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _kopf(context: Context, election: Election, stop: asyncio.Event, ready: asyncio.Event) -> None:
    """Watch until told to stop. kopf ends where discovery is refused (any 4xx); that may pass, so it starts anew."""
    while not stop.is_set():
        try:
            await _watch(context, election, stop, ready)
        except Exception as error:  # noqa: BLE001  # boundary: kopf's own tasks; what it raises is no contract
            log.warning("the watches ended, and are started anew in %.0f s: %s", WATCH_AGAIN, error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), WATCH_AGAIN)


async def _watch(context: Context, election: Election, stop: asyncio.Event, ready: asyncio.Event) -> None:
    """kopf's watches, until they fail or are cancelled. The process, its signals and its other tasks stay ours."""
    names = context.settings.watch_namespaces
    tasks = await kopf.spawn_tasks(
        registry=watches.registry(context, lambda: election.is_leader),
        settings=watches.settings(),
        standalone=True,
        clusterwide=not names,
        namespaces=list(names),
        ready_flag=ready,
    )
    _stop_on_signals(stop)  # kopf has taken them for its own watches
    await kopf.run_tasks(tasks, ignored=_EveryTask())


class _EveryTask(frozenset[asyncio.Task[Any]]):
    """kopf cancels every task that began after it and is not in here; what serves the resources isn't kopf's to end."""

    def __contains__(self, task: object) -> bool:
        return True
