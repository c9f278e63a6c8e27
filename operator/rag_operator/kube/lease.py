"""Leader election over a coordination Lease, on a monotonic clock of our own.

A holder that can't renew stops before another can start: it gives up `RENEW_LIMIT` after its last success, others wait
`DURATION` after they first *saw* the holder's last renewal, so clocks of different machines never compare.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rag_operator.api.errors import PermanentError, TransientError
from rag_operator.kube.client import Api, Object
from rag_operator.kube.kinds import LEASE
from rag_operator.kube.metrics import TERMS

DURATION = 15.0
RENEW_LIMIT = 10.0
PERIOD = 3.0
CALL_DEADLINE = 2.5

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Election:
    """One candidate. `leading` runs while it holds the Lease and is cancelled when it may no longer."""

    api: Api
    namespace: str
    name: str
    identity: str
    monotonic: Callable[[], float]
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    _seen: tuple[str, float] | None = field(default=None, init=False)
    _renewed: float = field(default=float("-inf"), init=False)
    """When the last renewal that was granted was asked for."""
    is_leader: bool = field(default=False, init=False)
    transitions: int = field(default=0, init=False)
    """How often the Lease has changed hands, as last read."""

    async def run(self, leading: Callable[[], Awaitable[None]]) -> None:
        """Stand for election for ever."""
        while True:
            if await self._attempt():
                await self._lead(leading)
            await asyncio.sleep(PERIOD)

    async def _lead(self, leading: Callable[[], Awaitable[None]]) -> None:
        self.is_leader = True
        TERMS.inc()
        log.info("leading", extra={"identity": self.identity})
        work = asyncio.ensure_future(leading())
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=PERIOD)
                if not await self._attempt() and (self._age > RENEW_LIMIT - PERIOD or self._lost):
                    log.warning("lost the lease", extra={"identity": self.identity})
                    return
            work.result()
        finally:
            self.is_leader = False
            work.cancel()
            await asyncio.wait({work})  # not `await work`: its end by cancellation would hide one of our own
            await self._release()

    def holds(self) -> bool:
        """Whether this process may write: it leads, and nobody else can have begun to, however long it was frozen."""
        return self.is_leader and self._age < RENEW_LIMIT

    @property
    def _age(self) -> float:
        return self.monotonic() - self._renewed

    @property
    def _lost(self) -> bool:
        return self._seen is not None and not self._seen[0].startswith(f"{self.identity} ")

    async def _attempt(self) -> bool:
        """Take or renew; False when another holds it or the server doesn't answer in time."""
        asked = self.monotonic()
        try:
            async with asyncio.timeout(CALL_DEADLINE):
                taken = await self._take()
                self._renewed = asked if taken else self._renewed
                return taken
        except (TransientError, PermanentError, TimeoutError) as error:
            log.warning("lease: %s", error or type(error).__name__)
            return False

    async def _take(self) -> bool:
        lease = await self.api.get(LEASE, self.namespace, self.name)
        if lease is None:
            await self.api.create(LEASE, self._manifest(None))
            return True
        spec = lease.get("spec", {})
        self.transitions = int(spec.get("leaseTransitions", 0))
        holder = spec.get("holderIdentity") or ""
        mark = f"{holder} {spec.get('renewTime')}"
        if self._seen is None or self._seen[0] != mark:
            self._seen = (mark, self.monotonic())
        if holder not in ("", self.identity) and self.monotonic() - self._seen[1] < DURATION:
            return False
        renewed = await self.api.replace(LEASE, self._manifest(lease))
        self.transitions = int(renewed["spec"]["leaseTransitions"])
        self._seen = (f"{self.identity} {renewed['spec']['renewTime']}", self.monotonic())
        return True

    async def _release(self) -> None:
        """Hand over at once, when the Lease is still ours."""
        with contextlib.suppress(TransientError, PermanentError, TimeoutError):
            async with asyncio.timeout(CALL_DEADLINE):
                lease = await self.api.get(LEASE, self.namespace, self.name)
                if lease and lease.get("spec", {}).get("holderIdentity") == self.identity:
                    freed = lease | {"spec": lease["spec"] | {"holderIdentity": ""}}
                    await self.api.replace(LEASE, freed)

    def _manifest(self, live: Object | None) -> Object:
        now = self.wall().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = live.get("spec", {}) if live else {}
        same = before.get("holderIdentity") == self.identity
        meta = live["metadata"] if live else {"name": self.name, "namespace": self.namespace}
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": meta,
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": int(DURATION),
                "renewTime": now,
                "acquireTime": before.get("acquireTime", now) if same else now,
                "leaseTransitions": int(before.get("leaseTransitions", 0)) + (0 if same else 1),
            },
        }
