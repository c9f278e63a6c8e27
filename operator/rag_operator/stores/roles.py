"""Roles of a catalog: marked by a comment, so that one of somebody else's is refused and never altered or dropped.

Tenants' roles are made by the maker of their shard. Postgres makes whoever makes a role a member of it and walks all
memberships of whoever alters one: the operator's own login would be a member of every role that there is (ADR 0012).
"""

from __future__ import annotations

from psycopg.sql import SQL, Composed, Identifier, Literal

from rag_operator.api.conditions import Reason
from rag_operator.stores.errors import StoreProblem
from rag_runtime.contract.names import CatalogNames

ROLE = """
SELECT shobj_description(oid, 'pg_authid') AS mark, pg_has_role(oid, 'SET') AND pg_has_role(oid, 'USAGE') AS member,
  current_user AS login
FROM pg_roles WHERE rolname = %s
"""
_MARK = SQL("COMMENT ON ROLE {role} IS {mark}")


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
