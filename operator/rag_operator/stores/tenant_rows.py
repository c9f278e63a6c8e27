"""Tenants as the catalog knows them: their rows with their pointers, and what tells query pods to read them anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.sql import SQL

from rag_operator.stores.summary import Summary
from rag_operator.stores.transaction import Transaction
from rag_runtime.contract.names import CatalogNames, TenantNames

ACTIVE, DEACTIVATED, RETAINED, ERASING = "Active", "Deactivated", "Retained", "Erasing"

_COLUMNS = """
t.id, t.namespace, t.name, t.uid, t.state, t.schema, t.reader, t.ingestion, t.shard, t.api_keys, t.config,
t.credential_version, t.schema_version, t.changed_at, p.tenant IS NOT NULL AS laid, coalesce(p.open, false) AS open,
p.active, p.shape, coalesce(p.version, 0) AS version, coalesce(p.token, '') AS token,
coalesce(p.promotion, 0) AS promotion, coalesce(p.seq, 0) AS seq, coalesce(p.summary, '{{}}') AS summary
"""
_MARK = "hashtextextended(row(t, p)::text, 0) AS mark"
_POINTER = "LEFT JOIN {c}.pointer p ON p.tenant = t.id"
_FROM = f"FROM {{c}}.tenant t {_POINTER}"
_READ = SQL(f"SELECT {_COLUMNS}, {_MARK} {_FROM} WHERE t.namespace = %s AND t.name = %s")
_GLANCE = SQL(f"SELECT t.namespace, t.name, t.id, coalesce(p.promotion, 0) AS promotion, {_MARK} {_FROM}")
ROLES = SQL("""
SELECT v.role, r.oid IS NOT NULL AS exists, coalesce(r.rolcanlogin, false) AS login,
  shobj_description(r.oid, 'pg_authid') AS mark, to_regnamespace(%(schema)s) IS NOT NULL AS schema,
  CASE WHEN pg_has_role(session_user, m.oid, 'SET') AND (r.oid IS NULL OR EXISTS (
    SELECT FROM pg_auth_members a WHERE a.roleid = r.oid AND a.member = m.oid AND a.admin_option)) THEN m.rolname
  END AS actor
FROM (VALUES (%(ingestion)s), (%(reader)s)) v (role) LEFT JOIN pg_roles r ON r.rolname = v.role
LEFT JOIN pg_roles m ON m.rolname = %(maker)s
""")


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A tenant as the catalog knows it: placement, what pods were told, and the pointer."""

    id: UUID
    """The incarnation."""
    namespace: str
    name: str
    uid: str
    """Of the RagTenant that it is bound to; empty after its catalog was taken over, until its RagTenant comes."""
    state: str
    """Active, Deactivated, Retained or Erasing."""
    schema: str
    reader: str
    ingestion: str
    shard: int
    api_keys: tuple[str, ...]
    """SHA-256 of each, hexadecimal."""
    config: Mapping[str, Any]
    credential_version: str
    schema_version: int
    changed_at: datetime
    laid: bool
    """Whether its pointer exists."""
    open: bool
    active: int | None
    """Number of the revision that answers come from."""
    shape: Mapping[str, Any] | None
    """The active revision's IndexShape."""
    version: int
    token: str
    promotion: int
    """The catalog's promotion number at which the active revision became active."""
    seq: int
    """The change clock."""
    summary: Summary
    """What ingestion reported and counted."""
    mark: int
    """Another, whenever anything of the above is."""

    def is_of(self, uid: str) -> bool:
        """Whether it is this RagTenant's, of its name: after a catalog was taken over, any that is live is.

        One that was kept is nobody's until it is adopted.
        """
        return self.uid == uid or (self.uid == "" and self.state == ACTIVE)

    def names(self, catalog: CatalogNames) -> TenantNames:
        """The names that the contract derives for it."""
        return TenantNames(catalog, self.id, self.name)


class Glance(NamedTuple):
    """Of a tenant's row, what tells whether it is as it was, as TenantRow has it."""

    namespace: str
    name: str
    id: UUID
    promotion: int
    mark: int


async def glance(tx: Transaction) -> list[Glance]:
    """At all tenants of the catalog, in one query and a tenth of the time that their rows take."""
    return [Glance(*row) for row in await tx.tuples(_GLANCE)]


async def read_tenant(tx: Transaction, namespace: str, name: str) -> TenantRow | None:
    """One tenant, or None."""
    row = await tx.row(_READ, [namespace, name])
    return _tenant(row) if row else None


def returning(change: str) -> SQL:
    """The statement that changes one tenant's row and answers as `changed_tenant` reads it."""
    return SQL(f"WITH t AS ({change} RETURNING *) SELECT {_COLUMNS}, {_MARK} FROM t {_POINTER}")


async def changed_tenant(tx: Transaction, change: SQL, values: Mapping[str, Any]) -> TenantRow | None:
    """A tenant as a statement of `returning` leaves it; None where it found none."""
    rows = await tx.change(change, values)
    return _tenant(rows[0]) if rows else None


def _tenant(row: DictRow) -> TenantRow:
    return TenantRow(**{**row, "api_keys": tuple(row["api_keys"]), "summary": Summary.model_validate(row["summary"])})


async def read_roles(tx: Transaction, row: TenantRow) -> dict[str, DictRow]:
    """By name of role: whether it exists, may log in, and its mark; whether the tenant's schema exists.

    `actor` is who makes, alters and drops it: its shard's maker; None, for roles of before there were makers and where
    the login may not assume it: the operator's login.
    """
    maker = tx.catalog.maker(row.shard)
    places = {"ingestion": row.ingestion, "reader": row.reader, "schema": row.schema, "maker": maker}
    return {str(part["role"]): part for part in await tx.rows(ROLES, places)}


async def tell_pods(tx: Transaction, tenant: UUID) -> None:
    """NOTIFY query pods that the tenant's row changed (payload `ID catalog`); they read it anew."""
    await tx.notify(tx.catalog.query_channel, f"{tenant} catalog")
