"""Redis as a convenience: short deadlines, a breaker that background pings close, and None instead of errors."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from rag_runtime.breaker import Breaker, BreakerState
from rag_runtime.logs import fields

logger = logging.getLogger(__name__)

CALL_SECONDS = 0.1
PING_SECONDS = 1.0
CONNECTIONS = 32
CA_FILE = "ca"


class Redis:
    """Calls that either answer within CALL_SECONDS or are skipped.

    While the breaker is open no request touches Redis; `run` pings it and closes the breaker when it answers, so that a
    dead Redis costs the requests that found it dead a deadline each, and no later one anything.
    """

    def __init__(self, url_file: PurePosixPath, breaker: Breaker) -> None:
        self.breaker = breaker
        self._url_file = Path(url_file)
        self._client: redis.Redis | None = None
        self._url = ""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None] | None:
        """Values of `keys`, or None when Redis does not answer."""
        found: list[bytes | None] | None = await self._call(lambda client: client.mget(keys))
        return found

    async def put(self, key: str, value: bytes, seconds: int) -> None:
        """Keep `value` for `seconds`, as well as it goes."""
        await self._call(lambda client: client.set(key, value, ex=seconds))

    async def script(self, text: str, key: str, *values: str | int) -> None:
        """Run a script over one key, as well as it goes."""
        await self._call(lambda client: client.eval(text, 1, key, *values))

    async def run(self) -> None:
        """Ping while the breaker is open, for ever. Ends by cancellation."""
        while True:
            await asyncio.sleep(PING_SECONDS)
            if self.breaker.state is not BreakerState.CLOSED:
                await self._drop_client()
                with contextlib.suppress(RedisError, OSError, TimeoutError, ValueError):
                    async with asyncio.timeout(PING_SECONDS):
                        await self._connected().ping()
                    self.breaker.succeeded()
                    logger.info("Redis answers again")

    async def close(self) -> None:
        """Close the connections."""
        await self._drop_client()

    async def _call(self, call: Callable[[redis.Redis], Awaitable[Any]]) -> Any:
        if self.breaker.state is not BreakerState.CLOSED:
            return None
        try:
            async with asyncio.timeout(CALL_SECONDS):
                found = await call(self._connected())
        except (RedisError, OSError, TimeoutError, ValueError) as error:
            self.breaker.failed()
            logger.warning("Redis does not answer", extra=fields(error=type(error).__name__))
            return None
        self.breaker.succeeded()
        return found

    def _connected(self) -> redis.Redis:
        """The client; the URL is read anew after a failure, since a password may have been rotated."""
        if self._client is None:
            url = self._url_file.read_text().strip()
            self._client = redis.from_url(
                url,
                max_connections=CONNECTIONS,
                socket_timeout=CALL_SECONDS,
                socket_connect_timeout=CALL_SECONDS,
                retry=Retry(NoBackoff(), 0),
                **self._trust(url),
            )
        return self._client

    def _trust(self, url: str) -> dict[str, Any]:
        """The certificates beside the URL count beside the public authorities."""
        ca = self._url_file.with_name(CA_FILE)
        if not url.startswith("rediss://") or not ca.exists():
            return {}
        # Private authorities seldom keep all of RFC 5280.
        return {"ssl_ca_certs": str(ca), "ssl_exclude_verify_flags": [ssl.VERIFY_X509_STRICT]}

    async def _drop_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await client.aclose()
