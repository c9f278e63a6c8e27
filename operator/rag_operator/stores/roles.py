"""Roles of a catalog: marked by a comment, so that one of somebody else's is refused and never altered or dropped."""

from __future__ import annotations

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
_LOGIN = SQL("""
SELECT l.shard, l.credential_version, r.oid IS NOT NULL AS exists, shobj_description(r.oid, 'pg_authid') AS mark
FROM (VALUES (%(role)s)) v (role)
LEFT JOIN {c}.query_login l ON l.role = v.role LEFT JOIN pg_roles r ON r.rolname = v.role
""")
_CREATE_LOGIN = SQL("CREATE ROLE {role} LOGIN NOINHERIT PASSWORD {verifier}")
_SET_PASSWORD = SQL("ALTER ROLE {role} LOGIN NOINHERIT PASSWORD {verifier}")
_SAVE_LOGIN = SQL("""
INSERT INTO {c}.query_login (shard, role, credential_version) VALUES (%s, %s, %s)
ON CONFLICT (shard) DO UPDATE SET credential_version = excluded.credential_version
""")


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


async def ensure_query_login(tx: Transaction, shard: int, password: str, credential_version: str) -> str:
    """The query service's login of a shard of readers; returns its role. Only reads when the version is the stored one.

    `credential_version` names the state of the Secret that holds `password`, for instance its uid and resourceVersion.
    StoreProblem ROLE_TAKEN when a role of that name isn't ours.
    """
    role = tx.catalog.query_login(shard)
    row = await tx.row(_LOGIN, {"role": role}) or {"exists": False, "shard": None}
    if row["exists"]:
        check_mark(tx.catalog, role, row["mark"])
        if row["shard"] is not None and row["credential_version"] == credential_version:
            return role
    statement = _SET_PASSWORD if row["exists"] else _CREATE_LOGIN
    marks = [] if row["exists"] else [mark(tx.catalog, role)]
    await tx.as_login(statement.format(role=Identifier(role), verifier=Literal(verifier(password))), *marks)
    if row["shard"] is None or not row["exists"]:
        await tx.script(query_login_rights(tx.catalog, shard))
    await tx.change(_SAVE_LOGIN, [shard, role, credential_version])
    return role
