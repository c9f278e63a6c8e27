"""One real retrieval per promoted revision, before the pod says that it applied it: as its reader, through its view."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from uuid import UUID

import psycopg

from rag_runtime.contract.config import EVERYONE
from rag_runtime.logs import fields
from rag_runtime.retrieve import statements
from rag_runtime.retrieve.database import Database
from rag_runtime.retrieve.errors import RetrievalError
from rag_runtime.retrieve.tenants import Tenant, target_of

logger = logging.getLogger(__name__)

PROBE_SECONDS = 3.0
ROUND_SECONDS = 8.0
AT_ONCE = 4
EF_SEARCH = 40


class Prober:
    """Probes tenants' active revisions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def probe_all(self, tenants: Mapping[UUID, Tenant]) -> dict[UUID, str | None]:
        """By tenant: None when retrieval works, else a sentence. Takes at most ROUND_SECONDS: leases are kept."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(tenant: Tenant) -> str | None:
            async with slots:
                return await self.probe(tenant)

        tasks = {tenant_id: asyncio.create_task(one(tenant)) for tenant_id, tenant in tenants.items()}
        if tasks:
            _, late = await asyncio.wait(tasks.values(), timeout=ROUND_SECONDS)
            for task in late:
                task.cancel()
        unfinished = f"the probe did not end within {ROUND_SECONDS:.0f} s"
        return {tenant_id: task.result() if task.done() else unfinished for tenant_id, task in tasks.items()}

    async def probe(self, tenant: Tenant) -> str | None:
        """Nearest neighbour of a stored vector, then the lexical tables with that passage's own words."""
        target = target_of(tenant, (EVERYONE,))
        if target is None:
            return None
        try:
            (rows,) = await self._database.as_reader(target, [statements.probe(target)], EF_SEARCH, PROBE_SECONDS)
            words = rows[0][0][:200] if rows else "probe"
            lexical = statements.bm25(target, words, None, 1)
            await self._database.as_reader(target, [lexical], EF_SEARCH, PROBE_SECONDS)
        except RetrievalError as error:
            return f"revision {target.revision}: {error}"
        except psycopg.Error as error:
            logger.error("probe failed", extra=fields(tenant=tenant.label, sqlstate=error.sqlstate))
            return f"revision {target.revision}: {error.diag.message_primary or type(error).__name__}"
        return None
