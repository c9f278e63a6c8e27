"""What a catalog holds, to be compared with the RagTenants that there are; reads only.

A schema or a role of the catalog's that no row explains was left by hand, by a restore of a part, or by a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from psycopg.sql import SQL

from rag_operator.stores.transaction import Transaction

_TENANTS = SQL("SELECT id, namespace, name, state FROM {c}.tenant ORDER BY namespace, name")
_SCHEMAS = SQL("""
SELECT n.nspname AS name FROM pg_namespace n JOIN pg_roles o ON o.oid = n.nspowner
WHERE o.rolname = %s AND n.nspname <> %s AND n.nspname::text NOT IN (SELECT schema FROM {c}.tenant) ORDER BY 1
""")
_ROLES = SQL("""
SELECT rolname AS name FROM pg_roles
WHERE starts_with(rolname, %s) AND rolname <> %s AND shobj_description(oid, 'pg_authid') = %s AND rolname::text NOT IN
  (SELECT reader FROM {c}.tenant UNION ALL SELECT ingestion FROM {c}.tenant UNION ALL
   SELECT unnest(ARRAY[role, role || '_b', replace(role, '_query_', '_make_')]) FROM {c}.query_login)
ORDER BY 1
""")


@dataclass(frozen=True, slots=True)
class HeldTenant:
    """A tenant's row, without what pods are told; in the order of the query's columns."""

    id: UUID
    """The incarnation."""
    namespace: str
    name: str
    state: str
    """Active, Deactivated, Retained or Erasing."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """All tenants of a catalog, and the names of schemas and marked roles that belong to none of them."""

    tenants: tuple[HeldTenant, ...]
    schemas: tuple[str, ...]
    roles: tuple[str, ...]


async def read_holdings(tx: Transaction) -> Holdings:
    """In three queries."""
    catalog = tx.catalog
    tenants = await tx.tuples(_TENANTS)
    schemas = await tx.rows(_SCHEMAS, [catalog.owner, catalog.schema])
    roles = await tx.rows(_ROLES, [f"{catalog.schema}_", catalog.owner, catalog.mark])
    return Holdings(
        tenants=tuple(HeldTenant(*row) for row in tenants),
        schemas=tuple(str(row["name"]) for row in schemas),
        roles=tuple(str(row["name"]) for row in roles),
    )
