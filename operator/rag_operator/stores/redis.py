"""Whether a Redis answers, and its keys of a tenant. Its URL holds a password, so messages name only host and port."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError

from rag_operator.api.conditions import Reason
from rag_operator.stores.errors import StoreProblem, StoreTrouble

DEADLINE = 3.0
"""Seconds for connecting and answering."""
LOOKING_THROUGH = 30.0
"""Seconds for looking through all keys: a million took 1.7 (measured, one erasure at a time)."""
BATCH = 1000
"""Keys that one SCAN looks at: it holds up other callers for 1.5 ms (measured), who wait 100 at most."""


async def ping(url: str, secret: str = "", ca: str = "", deadline: float = DEADLINE) -> None:
    """Return when Redis answers. `ca`: PEM certificates that a rediss:// server's counts by, beside the public ones.

    StoreTrouble CACHE_UNREACHABLE when it doesn't, or refuses the password; StoreProblem SECRET_INVALID for no URL.
    """
    async with _connected(url, secret, ca, deadline) as client:
        await _ping(client)


async def remove(url: str, prefix: str, secret: str = "", ca: str = "", deadline: float = LOOKING_THROUGH) -> int:
    """Delete every key that begins with `prefix`, which has no mark of a pattern; returns how many there were.

    No call waits for another's: keys are found by SCAN and freed by UNLINK. Raises as `ping` does; then some may be
    left, and some be gone.
    """
    await ping(url, secret, ca)
    removed, cursor, begun = 0, 0, False
    async with _connected(url, secret, ca, deadline, "was not looked through") as client:
        while cursor or not begun:
            cursor, keys = await client.scan(cursor, match=f"{prefix}*", count=BATCH)
            removed += await client.unlink(*keys) if keys else 0
            begun = True
    return removed


@contextlib.asynccontextmanager
async def _connected(
    url: str, secret: str, ca: str, deadline: float, late: str = "did not answer"
) -> AsyncIterator[Redis]:
    source = f"Secret {secret}" if secret else "the cache's Secret"
    host, port = _place(url, source)
    where = f"{host}:{port}"
    call = min(deadline, DEADLINE)
    try:
        async with asyncio.timeout(deadline):
            client = Redis.from_url(url, socket_connect_timeout=call, socket_timeout=call, **_trust(url, ca))
            try:
                yield client
            finally:
                await client.aclose()
    except (AuthenticationError, AuthorizationError) as error:
        raise StoreTrouble(
            f"Redis {where} refused the password: correct the key url in {source}", Reason.CACHE_UNREACHABLE
        ) from error
    except TimeoutError as error:
        raise StoreTrouble(f"Redis {where} {late} within {deadline:.0f} s", Reason.CACHE_UNREACHABLE) from error
    except NoPermissionError as error:
        raise StoreTrouble(
            f"Redis {where} forbids a command to the user of {source}: allow PING, SCAN and UNLINK",
            Reason.CACHE_UNREACHABLE,
        ) from error
    except (RedisError, OSError) as error:
        if "certificate verify failed" in str(error):
            raise StoreTrouble(
                f"the certificate of Redis {where} is not trusted: put its authority's into the key ca of {source}",
                Reason.CACHE_UNREACHABLE,
            ) from error
        raise StoreTrouble(
            f"Redis {where} can't be reached: {type(error).__name__}", Reason.CACHE_UNREACHABLE
        ) from error
    except (TypeError, ValueError):
        raise _unreadable(source) from None


def port_of(url: str) -> int | None:
    """The port that a URL leads to, or None for no URL of a Redis."""
    with contextlib.suppress(StoreProblem):
        return _place(url, "")[1]
    return None


def _trust(url: str, ca: str) -> dict[str, Any]:
    if not ca or not url.startswith("rediss://"):
        return {}
    # Private authorities seldom keep all of RFC 5280.
    return {"ssl_ca_data": ca, "ssl_exclude_verify_flags": [ssl.VERIFY_X509_STRICT]}


async def _ping(client: Redis) -> None:
    answer: Awaitable[bool] | bool = client.ping()
    if not isinstance(answer, bool):
        await answer


def _place(url: str, source: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss") or not parts.hostname:
            raise _unreadable(source)
        return parts.hostname, parts.port or 6379
    except ValueError:
        raise _unreadable(source) from None


def _unreadable(source: str) -> StoreProblem:
    return StoreProblem(
        Reason.SECRET_INVALID,
        f"{source} has a url that can't be read: write redis://:password@host:6379/0, or rediss:// for TLS",
    )
