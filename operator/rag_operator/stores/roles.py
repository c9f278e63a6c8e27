"""Roles of a catalog: marked by a comment, so that one of somebody else's is refused and never altered or dropped.

Tenants' roles are made by the maker of their shard. Postgres makes whoever makes a role a member of it and walks all
memberships of whoever alters one: the operator's own login would be a member of every role that there is (ADR 0012).
"""

from __future__ import annotations

from collections.abc import Mapping

from psycopg.rows import DictRow
from psycopg.sql import SQL, Composed, Identifier, Literal

from rag_operator.api.conditions import Reason
from rag_operator.stores.errors import StoreProblem
from rag_operator.stores.scram import verifier
from rag_operator.stores.transaction import Transaction
from rag_runtime.contract.catalog import query_login_rights
from rag_runtime.contract.names import CatalogNames

ROLE = """
SELECT shobj_description(oid, 'pg_authid') AS mark, pg_has_role(oid, 'SET') AND pg_has_role(oid, 'USAGE') AS member,
  current_user AS login
FROM pg_roles WHERE rolname = %s
"""
_MARK = SQL("COMMENT ON ROLE {role} IS {mark}")
_LOGINS = SQL("""
SELECT v.shard, l.credential_version AS version, r.oid IS NOT NULL AS exists,
  shobj_description(r.oid, 'pg_authid') AS mark, m.oid IS NOT NULL AS has_maker,
  shobj_description(m.oid, 'pg_authid') AS maker_mark
FROM unnest(%(shards)s::int[], %(roles)s::text[], %(makers)s::text[]) v (shard, role, maker)
LEFT JOIN {c}.query_login l ON l.role = v.role LEFT JOIN pg_roles r ON r.rolname = v.role
LEFT JOIN pg_roles m ON m.rolname = v.maker
ORDER BY v.shard
""")
_CREATE_MAKER = SQL("CREATE ROLE {role} NOLOGIN CREATEROLE")
_ASSUME = SQL("GRANT {role} TO CURRENT_USER WITH INHERIT FALSE, SET TRUE")
_CREATE_LOGIN = SQL("CREATE ROLE {role} LOGIN NOINHERIT PASSWORD {verifier}")
_SET_PASSWORD = SQL("ALTER ROLE {role} LOGIN NOINHERIT PASSWORD {verifier}")
_SAVE_LOGIN = SQL("""
INSERT INTO {c}.query_login (shard, role, credential_version) VALUES (%s, %s, %s)
ON CONFLICT (shard) DO UPDATE SET credential_version = excluded.credential_version
""")
_SAME_PASSWORDS = SQL("UPDATE {c}.query_login SET credential_version = %s WHERE shard = ANY (%s)")


def check_mark(names: CatalogNames, role: str, found: str | None) -> None:
    """StoreProblem ROLE_TAKEN unless the role's comment is our mark."""
    if found != names.mark:
        raise StoreProblem(
            Reason.ROLE_TAKEN,
            f"role {role} exists and is not ours (it lacks the comment {names.mark!r}): rename or drop it",
        )


def mark(names: CatalogNames, role: str) -> Composed:
    """The statement that marks a role as ours."""
    return _MARK.format(role=Identifier(role), mark=Literal(names.mark))


async def ensure_query_logins(tx: Transaction, passwords: Mapping[int, str], version: str, former: str = "") -> None:
    """The query service's logins, by shard of readers, and the shards' makers. Only reads when all have the version.

    `version` names the state of the Secret that holds the passwords, for instance its uid and resourceVersion; `former`
    the state before it, where none of the passwords that it held has changed since: such logins keep theirs.
    StoreProblem ROLE_TAKEN when a role of such a name isn't ours.
    """
    roles = {shard: tx.catalog.query_login(shard) for shard in passwords}
    makers = {shard: tx.catalog.maker(shard) for shard in passwords}
    named = {"shards": list(roles), "roles": list(roles.values()), "makers": list(makers.values())}
    rows = await tx.rows(_LOGINS, named)
    for row in rows:
        if row["exists"]:
            check_mark(tx.catalog, roles[row["shard"]], row["mark"])
        if row["has_maker"]:
            check_mark(tx.catalog, makers[row["shard"]], row["maker_mark"])
        else:
            await _make_maker(tx, makers[row["shard"]])
    current = [row["shard"] for row in rows if row["exists"] and row["version"] == version]
    same = [row["shard"] for row in rows if row["exists"] and former and row["version"] == former != version]
    for row in rows:
        if row["shard"] not in (*current, *same):
            await _set_password(tx, row, passwords[row["shard"]], version)
    if same:
        await tx.change(_SAME_PASSWORDS, [version, same])


async def _make_maker(tx: Transaction, name: str) -> None:
    role = Identifier(name)
    await tx.as_login(_CREATE_MAKER.format(role=role), mark(tx.catalog, name), _ASSUME.format(role=role))


async def _set_password(tx: Transaction, row: DictRow, password: str, version: str) -> None:
    role = tx.catalog.query_login(row["shard"])
    statement = _SET_PASSWORD if row["exists"] else _CREATE_LOGIN
    marks = [] if row["exists"] else [mark(tx.catalog, role)]
    await tx.as_login(statement.format(role=Identifier(role), verifier=Literal(verifier(password))), *marks)
    if row["version"] is None or not row["exists"]:
        await tx.script(query_login_rights(tx.catalog, row["shard"]))
    await tx.change(_SAVE_LOGIN, [row["shard"], role, version])
