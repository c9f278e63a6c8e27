"""A tenant leaves: its answers stop at once, its data is kept or erased, and nothing of erased data is left.

Erasing follows DATA §2's order: the login is shut and that committed; its sessions end; schema, roles and rows go in
one transaction. A crash anywhere leaves what the next call completes.
"""

from __future__ import annotations

from uuid import UUID

from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier, Literal

from rag_operator.stores.roles import check_mark
from rag_operator.stores.tenant_rows import (
    DEACTIVATED,
    ERASING,
    RETAINED,
    TenantRow,
    read_roles,
    read_tenant,
    tell_pods,
)
from rag_operator.stores.transaction import Transaction

LOCK_TIMEOUT = 2.0
"""Seconds that dropping waits for a reader: others queue behind it meanwhile."""

_CLOSE = SQL("UPDATE {c}.pointer SET open = false WHERE tenant = %s AND open")
_LEAVE = SQL("UPDATE {c}.tenant SET state = %s, uid = %s, api_keys = DEFAULT, changed_at = now() WHERE id = %s")
_NO_LOGIN = SQL("ALTER ROLE {role} NOLOGIN")
_SESSIONS = "SELECT pid FROM pg_stat_activity WHERE usename = %s"
_JOIN = SQL("GRANT {role} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE")
_END = SQL("SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE usename = {name}")
_PART = SQL("REVOKE {role} FROM CURRENT_USER GRANTED BY CURRENT_USER")
_DROP_SCHEMA = SQL("DROP SCHEMA IF EXISTS {s} CASCADE")
_DROP_ROLE = SQL("DROP ROLE {role}")
_SHARED = """
SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = to_regnamespace(%s) AND c.relkind IN ('r', 'p') AND a.attname = 'tenant'
  AND a.atttypid = 'uuid'::regtype AND NOT a.attisdropped AND NOT c.relispartition ORDER BY c.relname = 'pointer', 1
"""
_DELETE_SHARED = SQL("DELETE FROM {c}.{table} WHERE tenant = %s")
_DELETE_ROW = SQL("DELETE FROM {c}.tenant WHERE id = %s")
_LEFT_SCHEMAS = "SELECT nspname AS name FROM pg_namespace WHERE nspname ~ ('^rag_.*_' || %s || '$') ORDER BY 1"
_LEFT_ROLES = "SELECT rolname AS name FROM pg_roles WHERE starts_with(rolname, %s) ORDER BY 1"
_LEFT_ROWS = SQL("SELECT count(*) AS n FROM {c}.{table} WHERE tenant BETWEEN %s AND %s")
_LEFT_ROW = SQL("SELECT count(*) AS n FROM {c}.tenant WHERE id BETWEEN %s AND %s")


async def deactivate(tx: Transaction, namespace: str, name: str, uid: str = "") -> TenantRow | None:
    """Close the tenant at once: keys and ingestion are refused. Its data stays. None: no such tenant.

    A row that is bound to no RagTenant is bound to `uid`, since only of a live one is it known whose it is.
    """
    return await _leave(tx, namespace, name, DEACTIVATED, uid)


async def retain(tx: Transaction, namespace: str, name: str) -> TenantRow | None:
    """Keep a deleted tenant's data, closed, until a tenant of that name adopts it. None: no such tenant."""
    return await _leave(tx, namespace, name, RETAINED)


async def _leave(tx: Transaction, namespace: str, name: str, state: str, uid: str = "") -> TenantRow | None:
    row = await read_tenant(tx, namespace, name)
    if row is None or row.state == ERASING:
        return row
    if row.state not in (state, RETAINED) or row.open or row.api_keys:
        await _close(tx, row, state, uid)
    await _shut_login(tx, row.ingestion, (await read_roles(tx, row))[row.ingestion])
    return await read_tenant(tx, namespace, name)


async def _close(tx: Transaction, row: TenantRow, state: str, uid: str = "") -> None:
    await tx.change(_CLOSE, [row.id])
    await tx.change(_LEAVE, [state, row.uid or uid, row.id])
    await tell_pods(tx, row.id)


async def _shut_login(tx: Transaction, name: str, role: DictRow) -> bool:
    """No new session of the tenant's ingestion; False when it was shut already, or there is no such role."""
    if not role["login"]:
        return False
    check_mark(tx.catalog, name, role["mark"])
    await tx.acting(role["actor"], _NO_LOGIN.format(role=Identifier(name)))
    return True


async def erase(tx: Transaction, namespace: str, name: str) -> bool:
    """Erase all that the database holds of a tenant; True when nothing is left to do.

    False for one that was not deactivated yet: it is closed now, and the next call, in a new transaction, erases.
    StoreTrouble when a reader holds a table for long (try again); StoreProblem when a role has rights given by hand.
    """
    row = await read_tenant(tx, namespace, name)
    if row is None:
        return True
    roles = await read_roles(tx, row)
    closed = not (row.open or row.api_keys)
    if not closed:
        await _close(tx, row, ERASING)
    if await _shut_login(tx, row.ingestion, roles[row.ingestion]) or not closed:
        return False
    await end_sessions(tx, row.ingestion, roles[row.ingestion]["actor"])
    await _drop(tx, row, roles)
    return True


async def end_sessions(tx: Transaction, name: str, actor: str | None) -> None:
    """Ending another role's session needs membership with INHERIT; the login is shut, so none comes back."""
    if not await tx.rows(SQL(_SESSIONS), [name]):
        return
    role, ending = Identifier(name), _END.format(name=Literal(name))
    await tx.acting(actor, _JOIN.format(role=role), ending, _PART.format(role=role))


async def _drop(tx: Transaction, row: TenantRow, roles: dict[str, DictRow]) -> None:
    await tx.lock_timeout(LOCK_TIMEOUT)
    await tx.change(_DROP_SCHEMA, s=row.schema)
    standing = {name: role for name, role in sorted(roles.items()) if role["exists"]}
    for name, role in standing.items():
        check_mark(tx.catalog, name, role["mark"])
    for actor in dict.fromkeys(role["actor"] for role in standing.values()):
        dropped = [Identifier(name) for name, role in standing.items() if role["actor"] == actor]
        await tx.acting(actor, *(_DROP_ROLE.format(role=one) for one in dropped))
    for table in await _shared_tables(tx):
        await tx.change(_DELETE_SHARED, [row.id], table=table)
    await tx.change(_DELETE_ROW, [row.id])


async def _shared_tables(tx: Transaction) -> list[str]:
    """All tables of the catalog with a column `tenant`; those of later versions too, so that none is forgotten."""
    return [str(table["name"]) for table in await tx.rows(SQL(_SHARED), [tx.catalog.schema])]


async def prove_erased(tx: Transaction, digits: str) -> list[str]:
    """What is left of an incarnation in this database: schemas, roles, rows. Empty: nothing. Reads only.

    Looks by incarnation, not by the tenant's row, so it finds what an interrupted or faulty erasure forgot. `digits`:
    the incarnation's, hexadecimal; the first ten do, with which its schema's name ends.
    """
    bounds = [UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))]
    left = [f"schema {row['name']}" for row in await tx.rows(SQL(_LEFT_SCHEMAS), [digits[:10]])]
    prefix = f"{tx.catalog.schema}_{digits[:12]}"
    left += [f"role {row['name']}" for row in await tx.rows(SQL(_LEFT_ROLES), [prefix])]
    for table in await _shared_tables(tx):
        left += _counted(await tx.row(_LEFT_ROWS, bounds, table=table), f"{tx.catalog.schema}.{table}")
    return left + _counted(await tx.row(_LEFT_ROW, bounds), f"{tx.catalog.schema}.tenant")


def _counted(row: DictRow | None, table: str) -> list[str]:
    return [f"{row['n']} rows in {table}"] if row and row["n"] else []
