"""A small real web server, and a name resolution that the test decides."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Site:
    """What the server gives by path, and which paths it was asked for, in order."""

    def __init__(self, port: int, scheme: str = "http") -> None:
        self.port = port
        self.scheme = scheme
        self.hosts: list[str] = []
        """What each request named as its host."""
        self.pages: dict[str, Handler] = {}
        self.otherwise: Handler | None = None
        """What answers for every other path; None: 404."""
        self.asked: list[str] = []
        self.proxy_logins: list[str] = []
        """Logins for a proxy that came as far as here."""

    def page(self, path: str, body: str | bytes = "", status: int = 200, **headers: str) -> None:
        """Give this for a path; a header's name is written with underscores."""
        named = {"Content-Type": "text/html"} | {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            if named.get("ETag") is not None and request.headers.get("If-None-Match") == named["ETag"]:
                return web.Response(status=304)
            content = body.encode() if isinstance(body, str) else body
            return web.Response(body=content, status=status, headers=named)

        self.pages[path] = answer

    def url(self, host: str, path: str = "/") -> str:
        """An URL of this server under a name of the test's."""
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer any request."""
        self.asked.append(request.path_qs)
        self.hosts.append(request.host)
        self.proxy_logins += request.headers.getall("Proxy-Authorization", [])
        handler = self.pages.get(request.path_qs, self.otherwise)
        return await handler(request) if handler else web.Response(status=404)


@contextlib.asynccontextmanager
async def running_site(tls: ssl.SSLContext | None = None) -> AsyncGenerator[Site, None]:
    """Run a site on a loopback port."""
    listener = socket.create_server(("127.0.0.1", 0))
    site = Site(listener.getsockname()[1], "https" if tls else "http")
    server = web.Server(site.handle)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, listener, ssl_context=tls).start()
    try:
        yield site
    finally:
        await runner.cleanup()


class Names(AbstractResolver):
    """Resolves the names that the test gives, and notes what it was asked."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self.addresses = dict(addresses)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        address = self.addresses.get(host.rstrip("."))
        if address is None:
            raise OSError(f"no such name: {host}")
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is held."""
