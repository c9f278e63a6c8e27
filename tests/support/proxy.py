"""A small real HTTP proxy on loopback: CONNECT tunnels and requests in absolute form, as corporate ones take them.

async with forward_proxy({"models.example": "127.0.0.1"}) as proxy:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from yarl import URL

_AUTHORIZATION = "proxy-authorization"


@dataclass
class ForwardProxy:
    """A running proxy. `addresses` is its own resolution of names; `refuses`: it answers 403 to everything; `login`:
    the `user:password` that it demands (Basic, in UTF-8), 407 without."""

    addresses: dict[str, str]
    port: int = 0
    refuses: bool = False
    login: str = ""
    asked: list[str] = field(default_factory=list)
    """What it was asked for: `CONNECT host:port`, or `GET http://…`."""
    connections: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)
    """Those that are open."""

    @property
    def url(self) -> str:
        """What HTTPS_PROXY takes."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task
        self.connections[task] = writer
        try:
            await self._serve(reader, writer)
        finally:
            writer.close()
            del self.connections[task]

    async def end(self) -> None:
        """Close what clients have left open: nothing of it outlives the loop."""
        for writer in self.connections.values():
            writer.transport.abort()
        await asyncio.gather(*self.connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, target, _ = head.split("\r\n", 1)[0].split(" ")
            self.asked.append(f"{method} {target}")
            url = URL(f"http://{target}" if method == "CONNECT" else target)
            if self.refuses:
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            elif self.login and self._given(head) != self.login:
                demand = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=corp"
                writer.write(f"{demand}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            else:
                await self._lead(url, method, head, (reader, writer))

    def _given(self, head: str) -> str | None:
        for line in head.split("\r\n")[1:]:
            name, _, value = line.partition(": ")
            if name.lower() == _AUTHORIZATION and value.startswith("Basic "):
                return base64.b64decode(value.removeprefix("Basic ")).decode()
        return None

    async def _lead(
        self, url: URL, method: str, head: str, client: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    ) -> None:
        host = self.addresses.get(url.host or "", url.host or "")
        inner_reader, inner_writer = await asyncio.open_connection(host, url.port)
        if method == "CONNECT":
            client[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:  # RFC 9112 §3.2.2: the host is the request target's, whatever Host said
            gone = ("host:", "connection:", f"{_AUTHORIZATION}:" if self.login else "-")
            rest = [line for line in head.split("\r\n")[1:] if not line.lower().startswith(gone)]
            lines = [f"{method} {url.raw_path_qs} HTTP/1.1", f"Host: {url.authority}", "Connection: close", *rest]
            inner_writer.write("\r\n".join(lines).encode())
        await asyncio.gather(_pour(client[0], inner_writer), _pour(inner_reader, client[1]))


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def forward_proxy(addresses: Mapping[str, str] | None = None) -> AsyncGenerator[ForwardProxy, None]:
    """Run a proxy within this event loop."""
    proxy = ForwardProxy(dict(addresses or {}))
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()


async def before_a_page(site: str, text: str, login: str, port: int) -> None:
    """In a pod, without end: a proxy that demands the login, before a page at any path of `site`, a `host:port` that
    nobody else can resolve."""
    host, _, site_port = site.partition(":")

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(text)}\r\nConnection: close"
        writer.write(f"{head}\r\n\r\n{text}".encode())
        await writer.drain()
        writer.close()

    proxy = ForwardProxy({host: "127.0.0.1"}, login=login)
    await asyncio.start_server(page, "127.0.0.1", int(site_port))
    async with await asyncio.start_server(proxy.serve, "0.0.0.0", port) as server:
        await server.serve_forever()
