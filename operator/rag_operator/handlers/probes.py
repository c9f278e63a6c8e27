"""Liveness, readiness and metrics over HTTP."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Check = Callable[[], str]
"""Returns what is wrong, or an empty string."""


async def serve(port: int, live: Check, ready: Check) -> web.AppRunner:
    """Serve `/healthz` and `/readyz`."""

    async def healthz(_: web.Request) -> web.Response:
        return _answer(live())

    async def readyz(_: web.Request) -> web.Response:
        return _answer(ready())

    return await _start(port, [web.get("/healthz", healthz), web.get("/readyz", readyz)])


async def serve_metrics(port: int) -> web.AppRunner:
    """Serve `/metrics`."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return await _start(port, [web.get("/metrics", metrics)])


async def _start(port: int, routes: list[web.RouteDef]) -> web.AppRunner:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104  probes come from the node
    return runner


def _answer(trouble: str) -> web.Response:
    return web.Response(status=503 if trouble else 200, text=(trouble or "ok") + "\n")
