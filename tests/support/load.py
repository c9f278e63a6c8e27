"""Clients that ask a query service at a steady rate, and what became of their requests."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import aiohttp

CLIENTS = 20
TIMEOUT = 10.0


@dataclass(slots=True)
class Phase:
    """What happened to the requests of one disturbance."""

    name: str
    found: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def lost(self) -> int:
        """Requests without a 200."""
        return sum(self.found.values()) - self.found["200"]


def questions(stem: str, new: int) -> Iterator[str]:
    """The same question without end, which caches know; one of each `new` is another, which only the database knows."""
    return (stem if number % new else f"{stem} ({number})" for number in count())


class Load:
    """Clients that ask at a steady rate; what they see is counted in the phase that is on."""

    def __init__(self, address: str, key: str, questions: Iterator[str], rate: int) -> None:
        self.phase = Phase("none")
        self._address, self._questions, self._rate = address, questions, rate
        self._headers = {"Authorization": f"Bearer {key}"}

    async def client(self, number: int) -> None:
        """One connection, asked each CLIENTS/rate seconds; a late answer delays only this client's next."""
        every = CLIENTS / self._rate
        await asyncio.sleep(every * number / CLIENTS)
        limits = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1), timeout=limits) as http:
            while True:
                began = time.monotonic()
                phase = self.phase
                phase.found[await self._ask(http)] += 1
                phase.latencies.append(time.monotonic() - began)
                await asyncio.sleep(max(0.0, began + every - time.monotonic()))

    async def _ask(self, http: aiohttp.ClientSession) -> str:
        body = {"question": next(self._questions)}
        try:
            async with http.post(f"{self._address}/v1/query", json=body, headers=self._headers) as response:
                await response.read()
                return str(response.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__


@asynccontextmanager
async def running(load: Load) -> AsyncIterator[None]:
    """The clients, for as long as the block runs."""
    clients = [asyncio.create_task(load.client(number)) for number in range(CLIENTS)]
    try:
        yield
    finally:
        for one in clients:
            one.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
