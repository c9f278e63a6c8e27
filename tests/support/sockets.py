"""Sockets that a test opens on its event loop are closed before the loop is: else a later test is blamed for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path


@asynccontextmanager
async def all_closed() -> AsyncIterator[None]:
    """Wait, after the body, until all that it opened is closed: TLS takes its leave in its own time."""
    before = _open()
    yield
    async with asyncio.timeout(60):
        while _open() - before:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.01)


def _open() -> set[str]:
    """This process's sockets, by names that no two have."""
    found: set[str] = set()
    for number in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(str(number.readlink()))
    return {name for name in found if name.startswith("socket:")}
