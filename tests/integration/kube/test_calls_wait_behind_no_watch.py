"""A8: however many namespaces are watched, the Lease's calls wait for no connection."""

from __future__ import annotations

import asyncio

import pytest

from rag_operator.kube.client import Api
from rag_operator.kube.kinds import CONFIG_MAP, LEASE

pytestmark = pytest.mark.integration
MANY = 120
"""Three for each of forty namespaces. A client's own bound would be a hundred."""
HANGING = 60.0


async def test_calls_wait_behind_no_watch(port: Api, api_namespace: str) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "seen", "namespace": api_namespace}}
    await port.create(CONFIG_MAP, manifest)
    standing = asyncio.Semaphore(0)

    async def watch() -> None:
        async for _ in port.watch(CONFIG_MAP, api_namespace, "", ""):
            standing.release()

    async with asyncio.TaskGroup() as group:
        watches = [group.create_task(watch()) for _ in range(MANY)]
        async with asyncio.timeout(HANGING):
            for _ in range(MANY):
                await standing.acquire()
            assert await port.get(LEASE, api_namespace, "none") is None
        for one in watches:
            one.cancel()
