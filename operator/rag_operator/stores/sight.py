"""All that a look at a tenant reads of its catalog, in one transaction: most looks find that nothing is to be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg.rows import DictRow

from rag_operator.stores.leases import Lease, read_leases
from rag_operator.stores.promotion import Revision, revisions
from rag_operator.stores.tenant_rows import ACTIVE, TenantRow, read_roles
from rag_operator.stores.tenants import is_behind
from rag_operator.stores.transaction import Transaction
from rag_runtime.contract.migrations import TENANT_STEPS, Step


@dataclass(frozen=True, slots=True)
class Sight:
    """A tenant's row with what belongs to it, as of one moment."""

    row: TenantRow
    roles: Mapping[str, DictRow]
    """By name, as `read_roles` has them."""
    revisions: tuple[Revision, ...]
    """By number; none before the tenant's schema is as this release reads it."""
    leases: tuple[Lease, ...]
    """Of the catalog's query pods."""


async def look(tx: Transaction, row: TenantRow, steps: Sequence[Step] = TENANT_STEPS) -> Sight:
    """What belongs to the row."""
    roles = await read_roles(tx, row)
    readable = row.state == ACTIVE and roles[row.ingestion]["schema"] and not is_behind(row, steps)
    known = await revisions(tx, row.schema) if readable else []
    return Sight(row, roles, tuple(known), tuple(await read_leases(tx)))
