"""A query service in the test's own event loop, over loopback, and what tests ask of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from rag_runtime.contract.config import ServeConfig
from rag_runtime.serve.models import Models, load_models
from rag_runtime.serve.process import Server
from rag_runtime.serve.service import Service
from tests.support.catalog import api_key_of
from tests.support.postgres import free_port


@dataclass(frozen=True, slots=True)
class Response:
    """Status, headers and JSON body."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(slots=True)
class Running:
    """A service that answers at `url`."""

    service: Service
    server: Server
    url: str
    http: aiohttp.ClientSession

    async def post(self, path: str, tenant: str, **body: object) -> Response:
        """POST as the tenant of that name."""
        headers = {"authorization": f"Bearer {api_key_of(tenant)}"}
        async with self.http.post(self.url + path, json=body, headers=headers) as response:
            found = {name.lower(): value for name, value in response.headers.items()}
            return Response(response.status, found, await response.json())

    async def ask(self, tenant: str, question: str, **more: object) -> Response:
        """POST /v1/query."""
        return await self.post("/v1/query", tenant, question=question, **more)

    async def ready(self) -> dict[str, Any]:
        """GET /readyz."""
        async with self.http.get(f"{self.url}/readyz") as response:
            found: dict[str, Any] = await response.json()
            return found


@asynccontextmanager
async def serving(config: ServeConfig, pod: str = "pod-0", models: Models | None = None) -> AsyncIterator[Running]:
    """A service that is ready; ended at the end, with its lease given back."""
    async with started(config, pod, models) as running:
        await eventually(lambda: _is_ready(running))
        yield running


@asynccontextmanager
async def started(config: ServeConfig, pod: str = "pod-0", models: Models | None = None) -> AsyncIterator[Running]:
    """A service that answers, and may not be ready; ended at the end."""
    service = Service(config, models or load_models(config), pod)
    port = free_port()
    server = Server(service, "127.0.0.1", port)
    ended = asyncio.create_task(server.run_service())
    async with aiohttp.ClientSession() as http:
        running = Running(service, server, f"http://127.0.0.1:{port}", http)
        try:
            await eventually(lambda: _answers(running))
            yield running
        finally:
            server.should_exit = True
            await ended


async def _answers(running: Running) -> bool:
    try:
        async with running.http.get(f"{running.url}/healthz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def _is_ready(running: Running) -> bool:
    try:
        return bool((await running.ready())["ready"])
    except aiohttp.ClientError:
        return False


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    """Wait until `holds`; so many seconds are a bound for hanging only."""
    started = time.monotonic()
    while not await holds():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        await asyncio.sleep(0.01)
