"""Connections that outlive what they were for: of an async test none is left, or that test itself fails.

What closes in the middle of an answer over TLS says farewell and waits for the server's, longer than a session that is
closed meanwhile. A loop that ends before leaves the transport to the garbage collector, which blames a later test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

FAREWELL = 20.0
"""Seconds, a bound for hanging only."""


@pytest_asyncio.fixture
async def nothing_left_open() -> AsyncIterator[None]:
    """Set up before all others of an async test, and so ended after them."""
    yield
    try:
        async with asyncio.timeout(FAREWELL):
            while _open():  # noqa: ASYNC110  a loop tells nobody when its last connection is closed
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"left open: {_open()}", pytrace=False)


def _open() -> list[str]:
    """Transports of sockets and pipes that the running loop still has."""
    known: Mapping[int, asyncio.BaseTransport] = getattr(asyncio.get_running_loop(), "_transports", {})
    return [f"{one!r} {one.get_extra_info('peername')}" for one in list(known.values()) if _is_open(one)]


def _is_open(transport: asyncio.BaseTransport) -> bool:
    return getattr(transport, "_sock", None) is not None
