"""This pod's reader lease: what it applied and still pins, so that nothing is dropped under its requests (DATA §4)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from uuid import UUID

import psycopg

from rag_runtime.logs import fields
from rag_runtime.retrieve.database import Database, Statement
from rag_runtime.retrieve.errors import RetrievalError
from rag_runtime.retrieve.tenants import Tenant
from rag_runtime.serve.catalog import Catalog, Change
from rag_runtime.serve.probe import Prober

logger = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
RENEW_SECONDS = 10.0
MARGIN_SECONDS = 8.0
"""Pinning ends this long before the lease does: longer than embedding and retrieval of one request may take."""
RETRY_SECONDS = 1.0
WRITE_SECONDS = 3.0
ANNOUNCED_AT_START = 50
"""Of the newest promotions, how many a starting pod probes and announces: enough for a pipeline that is just being
set up, and no storm when a pod joins thousands of tenants that have answered for long."""

_WRITE = """
WITH written AS (
  INSERT INTO {c}.reader_lease (pod, applied, pinned, failures, expires_at)
  VALUES (%(pod)s, %(applied)s, %(pinned)s, %(failures)s, clock_timestamp() + %(seconds)s * interval '1 s')
  ON CONFLICT (pod) DO UPDATE SET applied = excluded.applied, pinned = excluded.pinned,
    failures = excluded.failures, expires_at = excluded.expires_at)
SELECT pg_notify('{c}_operator', t) FROM unnest(%(promoted)s::text[]) t
"""
"""One statement, so that the operator is told at the moment at which it can read the lease."""
_DELETE = "DELETE FROM {c}.reader_lease WHERE pod = %(pod)s"


class ReaderLease:
    """Probes what was promoted, then renews the lease and tells the operator."""

    def __init__(
        self,
        pod: str,
        database: Database,
        catalog: Catalog,
        prober: Prober,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pod = pod
        self.failures: dict[UUID, str] = {}
        self._database = database
        self._catalog = catalog
        self._prober = prober
        self._clock = clock
        self._safe_until = float("-inf")
        self._promoted: dict[UUID, Tenant] = {}
        self._first = True
        self._wake = asyncio.Event()
        catalog.subscribe(self._changed)

    @property
    def remaining(self) -> float:
        """Seconds for which requests may still pin; not above 0: none may."""
        return self._safe_until - self._clock()

    @property
    def fresh(self) -> bool:
        """Whether requests may pin now."""
        return self.remaining > 0

    @property
    def held_once(self) -> bool:
        """Whether this pod has ever held its lease, and so has once reached the database and proven its tenants."""
        return self._safe_until > float("-inf")

    async def run(self) -> None:
        """Renew every 10 s and at each promotion, for ever. Ends by cancellation."""
        while True:
            pause = RENEW_SECONDS
            if self._catalog.applied:
                try:
                    await self._renew()
                except (RetrievalError, psycopg.Error) as error:
                    logger.warning("reader lease not renewed", extra=fields(error=str(error), remaining=self.remaining))
                    pause = RETRY_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)

    async def release(self) -> None:
        """Delete the lease: this pod pins nothing any more."""
        self._safe_until = float("-inf")
        try:
            await self._database.as_login(self._statement(_DELETE, pod=self.pod), WRITE_SECONDS)
        except (RetrievalError, psycopg.Error) as error:
            logger.warning("reader lease not deleted, it will expire", extra=fields(error=str(error)))

    def _changed(self, change: Change) -> None:
        self._promoted.update((tenant.id, tenant) for tenant in change.promoted)
        if change.promoted:
            self._wake.set()

    async def _renew(self) -> None:
        """Probe, write, announce; what was promoted stays noted until it was announced."""
        self._wake.clear()
        number, pinned = self._catalog.number, self._catalog.oldest_pin()
        promoted = self._take_promoted()
        again = [tenant for i in self.failures if (tenant := self._catalog.get(i)) is not None]
        found = await self._prober.probe_all({tenant.id: tenant for tenant in [*again, *promoted.values()]})
        self.failures = {i: message for i, message in found.items() if message is not None}
        sent_at = self._clock()
        await self._write(number, min(number, pinned), list(promoted))
        self._safe_until = sent_at + LEASE_SECONDS - MARGIN_SECONDS
        for tenant_id, tenant in promoted.items():
            if self._promoted.get(tenant_id) is tenant:
                del self._promoted[tenant_id]
        self._first = False

    def _take_promoted(self) -> dict[UUID, Tenant]:
        newest = sorted(self._promoted.values(), key=lambda tenant: -tenant.pointer.promotion)
        if self._first and len(newest) > ANNOUNCED_AT_START:
            self._promoted = {tenant.id: tenant for tenant in newest[:ANNOUNCED_AT_START]}
        return {i: tenant for i, tenant in self._promoted.items() if tenant.pointer.active is not None}

    async def _write(self, applied: int, pinned: int, promoted: list[UUID]) -> None:
        statement = self._statement(
            _WRITE,
            pod=self.pod,
            applied=applied,
            pinned=pinned,
            failures=json.dumps({str(i): message for i, message in self.failures.items()}),
            seconds=LEASE_SECONDS,
            promoted=[str(tenant) for tenant in promoted],
        )
        await self._database.as_login(statement, WRITE_SECONDS)

    def _statement(self, sql: str, **values: object) -> Statement:
        return Statement(sql.format(c=self._database.settings.schema_), values)
