"""Before the operator goes for good: it stops, and what only it could let go is let go; nothing else changes.

Done under the Lease, so that no replica that still runs puts a finalizer on again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from uuid import uuid4

from rag_operator.api.names import FINALIZER
from rag_operator.engine.finalizer import drop_finalizer
from rag_operator.engine.places import Places
from rag_operator.engine.settings import Settings
from rag_operator.engine.volume import settle_volume
from rag_operator.kube.client import Api, Object
from rag_operator.kube.errors import ConflictError
from rag_operator.kube.kinds import DEPLOYMENT, PIPELINE, TENANT, Kind
from rag_operator.kube.lease import Election

PATIENCE = 90.0
"""Seconds until the replicas have handed the Lease over."""


async def release(api: Api, settings: Settings, say: Callable[[str], None]) -> None:
    """Scale the operator to 0 and take our finalizers off. TimeoutError where a replica keeps the Lease."""
    identity = f"release-{uuid4().hex[:6]}"
    api.calls_itself(settings.release.version, identity)
    await _scale_down(api, settings, say)
    released = asyncio.Event()

    async def leading() -> None:
        places = Places(api, settings)
        for kind in (TENANT, PIPELINE):
            for item in await places.list(kind):
                if FINALIZER in item["metadata"].get("finalizers", []):
                    await _let_go(api, kind, item, say)
        for namespace, why in places.refused.items():
            say(f"namespace {namespace} was left out, and what stands there keeps its finalizer: {why}")
        released.set()

    election = Election(api, settings.namespace, settings.lease_name, identity, time.monotonic)
    standing = asyncio.create_task(election.run(leading))
    try:
        await asyncio.wait_for(released.wait(), PATIENCE)
    finally:
        standing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await standing


async def _scale_down(api: Api, settings: Settings, say: Callable[[str], None]) -> None:
    live = await api.get(DEPLOYMENT, settings.namespace, settings.lease_name)
    if live is not None and live["spec"].get("replicas", 1):
        await api.merge(DEPLOYMENT, live, {"spec": {"replicas": 0}})
        say(f"Deployment {settings.namespace}/{settings.lease_name} is scaled to 0")


async def _let_go(api: Api, kind: Kind, item: Object, say: Callable[[str], None]) -> None:
    meta = item["metadata"]
    live: Object | None = item
    while live is not None and FINALIZER in live["metadata"].get("finalizers", []):
        with contextlib.suppress(ConflictError):
            if kind is PIPELINE:
                await settle_volume(api, live)
            await drop_finalizer(api, kind, live)
            say(f"{kind.kind} {meta['namespace']}/{meta['name']} is released" + _unclosed(live))
            return
        live = await api.get(kind, meta["namespace"], meta["name"])


def _unclosed(live: Object) -> str:
    deleting = live["metadata"].get("deletionTimestamp")
    return "; it was being deleted: its data stay as they are" if deleting else ""
