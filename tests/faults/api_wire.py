"""A reverse proxy between operator and API server: counts writes, loses answers, cuts lines."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from tests.faults.script import Fault, Script

Forward = Callable[[web.Request], Awaitable[aiohttp.ClientResponse]]
Weather = Callable[[web.Request, Forward], Awaitable[web.StreamResponse | None]]
"""What the API server does to a request instead of answering it; None lets the request pass."""

WRITES = ("POST", "PUT", "PATCH", "DELETE")
PASSED_ON = ("Accept", "Content-Type", "User-Agent")
REFUSED = (400, 403, 422)
NOT_COUNTED = ("/leases", "/events")
"""The Lease's timing is no state, and an Event that is lost is lost."""


class ApiWire:
    """Speaks plain HTTP on loopback to the operator, and TLS with the operator's own token to the API server."""

    def __init__(self, kubeconfig: Path, script: Script) -> None:
        self._script = script
        self._read(yaml.safe_load(kubeconfig.read_text()))
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.weather: Weather | None = None
        self.port = 0

    def _read(self, config: dict[str, Any]) -> None:
        cluster = config["clusters"][0]["cluster"]
        self._server = str(cluster["server"])
        self._tls = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
            if "certificate-authority-data" in cluster
            else Path(cluster["certificate-authority"]).read_text()
        )
        self._token = str(config["users"][0]["user"]["token"])

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """End all."""
        assert self._runner and self._session
        await self._session.close()
        await self._runner.cleanup()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        fault, counted, refused = None, False, False
        if self._script.dead.is_set():
            return cut(request)
        if self.weather and (instead := await self.weather(request, self._forward)):
            return instead
        if request.method in WRITES:
            await request.read()  # it has left with its last byte, which who is frozen before would send too late
        if request.method in WRITES and not any(part in request.path for part in NOT_COUNTED):
            fault, counted = self._script.leaves(f"{request.method} {request.path}"), True
        if fault is Fault.DIE_BEFORE:
            self._script.die()
            return cut(request)
        if fault is Fault.FREEZE:
            await self._script.held()
        try:
            async with await self._forward(request) as answer:
                refused = answer.status in REFUSED
                self._script.late = answer.status if fault is Fault.FREEZE else self._script.late
                if fault in (None, Fault.FREEZE):
                    return await _answer(request, answer)
                await answer.read()
        finally:
            if counted and fault is None:
                self._script.answered(refused=refused)
        if fault is Fault.DIE_AFTER:
            self._script.die()
        return cut(request)

    async def _forward(self, request: web.Request) -> aiohttp.ClientResponse:
        assert self._session
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        return await self._session.request(
            request.method,
            f"{self._server}{request.raw_path}",
            data=await request.read() or None,
            headers=headers | {"Authorization": f"Bearer {self._token}"},
            ssl=self._tls,
            timeout=aiohttp.ClientTimeout(total=None),
        )


async def _answer(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    if "watch=true" in request.query_string:
        return await relayed(request, answer)
    names = ("Content-Type", "Retry-After", "Warning")
    headers = {name: answer.headers[name] for name in names if name in answer.headers}
    return web.Response(status=answer.status, body=await answer.read(), headers=headers)


async def relayed(request: web.Request, answer: aiohttp.ClientResponse, most: int = 0) -> web.StreamResponse:
    """Pass a stream on as it comes; after `most` bytes, if given, break off."""
    stream = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]})
    await stream.prepare(request)
    with suppress(ConnectionError):  # the operator hung up
        async for chunk in answer.content.iter_any():
            await stream.write(chunk[:most] if most else chunk)
            if most:
                return cut(request)
    return stream


def cut(request: web.Request) -> web.StreamResponse:
    """Break the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
