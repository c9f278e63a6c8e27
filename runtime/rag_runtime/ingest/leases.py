"""Leases of steps: who may write, told by an epoch that every batch carries (DATA §3); no advisory locks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Literal, TypeVar

from rag_runtime.ingest.errors import StoreUnavailableError, Superseded, TenantClosed
from rag_runtime.ingest.store import Session, Store

log = logging.getLogger(__name__)
T = TypeVar("T")

TAKE = "SELECT epoch, watermark FROM {c}.take(%s, %s, %s, %s, make_interval(secs => %s))"
KEEP = "SELECT {c}.keep(%s, %s, %s, %s, make_interval(secs => %s))"
LEFT = """SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 FROM {s}.run
  WHERE step = %s AND revision = %s AND shard = %s"""


@dataclass(frozen=True, slots=True)
class LeaseKey:
    """What a lease is for: the sync of a tenant, or one shard of a revision's index."""

    step: Literal["Sync", "Index"]
    revision: int = 0
    shard: int = 0

    def params(self) -> tuple[str, int, int]:
        """As the functions take it."""
        return self.step, self.revision, self.shard


@dataclass(frozen=True, slots=True)
class Lease:
    """A held lease. `epoch` is what batches prove it with; `watermark` is the clock up to which work is done."""

    key: LeaseKey
    epoch: int
    watermark: int


@dataclass(frozen=True, slots=True)
class Holder:
    """Who takes leases: a name unique to this process, and for how many seconds at a time."""

    name: str
    seconds: float

    async def take(self, session: Session, key: LeaseKey) -> Lease | None:
        """The lease, after waiting for a dead holder's to expire; None when a live holder renewed it meanwhile."""
        if (lease := await self._try(session, key)) is not None:
            return lease
        left = await session.value(LEFT, key.params())
        log.info("another run holds the lease; waiting until it expires or is renewed")
        await asyncio.sleep(max(0.0, float(left or 0)) + 0.05)
        return await self._try(session, key)

    async def _try(self, session: Session, key: LeaseKey) -> Lease | None:
        rows = await session.rows(TAKE, [*key.params(), self.name, self.seconds])
        return Lease(key, rows[0][0], rows[0][1]) if rows else None

    async def hold(self, store: Store, lease: Lease, work: Coroutine[None, None, T]) -> T:
        """Do `work` while the lease is renewed, then give it back. Raises Superseded when another took it."""
        main = asyncio.create_task(work)
        beat = asyncio.create_task(self._beat(store, lease))
        try:
            await asyncio.wait({main, beat}, return_when=asyncio.FIRST_COMPLETED)
            if not main.done():
                main.cancel()
                await asyncio.wait({main})
                await beat
            return await main
        finally:
            for task in (main, beat):
                task.cancel()
            await asyncio.gather(main, beat, return_exceptions=True)
            await self._give_back(store, lease)

    async def _beat(self, store: Store, lease: Lease) -> None:
        """Renew three times per lease, on a connection of its own: the work's may be busy for an hour.

        A database that can't be reached ends nothing: the epoch guards the data, renewal only spares a take-over.
        """
        while True:
            try:
                async with store.session() as session:
                    while True:
                        await session.rows(KEEP, [*lease.key.params(), lease.epoch, self.seconds])
                        await asyncio.sleep(self.seconds / 3)
            except StoreUnavailableError as error:
                log.warning("the lease could not be renewed: %s", error)
                await asyncio.sleep(min(1.0, self.seconds / 3))

    async def _give_back(self, store: Store, lease: Lease) -> None:
        """Let the lease expire now, so that the next run need not wait."""
        with contextlib.suppress(StoreUnavailableError, Superseded, TenantClosed, TimeoutError):
            async with asyncio.timeout(5), store.session() as session:
                await session.rows(KEEP, [*lease.key.params(), lease.epoch, 0])
