"""Whether a database can hold a catalog, and the exact statements that mend it where it can't."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import errors
from psycopg.rows import DictRow

from rag_operator.api.conditions import Reason
from rag_operator.stores.address import DatabaseAddress
from rag_operator.stores.database import Databases
from rag_operator.stores.errors import StoreProblem
from rag_operator.stores.pool import Connection

MIN_SERVER = 160000
MIN_PGVECTOR = (0, 8)

_FACTS = """
SELECT current_setting('server_version_num')::int AS server, pg_is_in_recovery() AS standby,
  current_database() AS dbname,
  r.rolname AS login, r.rolsuper AS superuser, r.rolcreaterole OR r.rolsuper AS createrole,
  has_database_privilege(d.oid, 'CREATE') AS creates, pg_has_role(d.datdba, 'USAGE') AS owns,
  e.extversion AS vector, n.nspname AS vector_schema,
  EXISTS (SELECT FROM pg_available_extensions a WHERE a.name = 'vector') AS vector_available
FROM pg_roles r JOIN pg_database d ON d.datname = current_database()
LEFT JOIN pg_extension e ON e.extname = 'vector' LEFT JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE r.rolname = current_user
"""
_CREATE_EXTENSION = "CREATE EXTENSION IF NOT EXISTS vector SCHEMA public"


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What the operator found in a suitable database."""

    server: int
    """`server_version_num`: 180004 is 18.4."""
    pgvector: str
    login: str
    dbname: str
    superuser: bool
    owns_database: bool


async def preflight(databases: Databases, address: DatabaseAddress) -> DatabaseFacts:
    """The facts of a suitable database; makes the extension where the login may.

    StoreProblem DATABASE_UNSUITABLE or MISSING_PRIVILEGE says the mend; StoreTrouble when it can't be reached.
    """
    async with databases.session(address) as connection:
        found = await _read(connection)
        _check_server(found, address)
        if found["vector"] is None:
            found = await _create_extension(connection, found)
        _check_extension(found)
        _check_rights(found)
    return DatabaseFacts(
        server=found["server"],
        pgvector=found["vector"],
        login=found["login"],
        dbname=found["dbname"],
        superuser=found["superuser"],
        owns_database=found["owns"],
    )


async def _read(connection: Connection) -> DictRow:
    row = await (await connection.execute(_FACTS)).fetchone()
    if row is None:
        raise StoreProblem(Reason.DATABASE_UNSUITABLE, "the database doesn't show its own roles: is it Postgres?")
    return row


def _check_server(found: DictRow, address: DatabaseAddress) -> None:
    if found["server"] < MIN_SERVER:
        raise StoreProblem(
            Reason.DATABASE_UNSUITABLE,
            f"the server is Postgres {found['server'] // 10000}: {MIN_SERVER // 10000} or newer is needed; upgrade it",
        )
    if found["standby"]:
        raise StoreProblem(
            Reason.DATABASE_UNSUITABLE, f"{address.where} is a read replica: name the primary in {address.source}"
        )


async def _create_extension(connection: Connection, found: DictRow) -> DictRow:
    if not found["vector_available"]:
        raise StoreProblem(
            Reason.DATABASE_UNSUITABLE,
            "the server has no pgvector: install the package postgresql-NN-pgvector, or use an image that has it",
        )
    try:
        async with connection.transaction():
            await connection.execute(_CREATE_EXTENSION)
    except errors.InsufficientPrivilege:
        raise StoreProblem(
            Reason.MISSING_PRIVILEGE,
            f"the extension pgvector is missing in database {found['dbname']}, and login {found['login']} may not "
            "make it. As a superuser, in that database: CREATE EXTENSION vector; With CloudNativePG, in the Cluster: "
            'spec: {bootstrap: {initdb: {postInitApplicationSQL: ["CREATE EXTENSION vector;"]}}}, or for an existing '
            "one a Database with spec: {extensions: [{name: vector, ensure: present}]}",
        ) from None
    return await _read(connection)


def _check_extension(found: DictRow) -> None:
    if found["vector_schema"] != "public":
        raise StoreProblem(
            Reason.DATABASE_UNSUITABLE,
            f"pgvector is in schema {found['vector_schema']}, public is needed. As its owner: "
            "ALTER EXTENSION vector SET SCHEMA public;",
        )
    if _version(found["vector"]) < MIN_PGVECTOR:
        raise StoreProblem(
            Reason.DATABASE_UNSUITABLE,
            f"pgvector is {found['vector']}, 0.8 or newer is needed. Install it, then as its owner: "
            "ALTER EXTENSION vector UPDATE;",
        )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())


def _check_rights(found: DictRow) -> None:
    login, dbname = found["login"], found["dbname"]
    if not found["createrole"]:
        raise StoreProblem(
            Reason.MISSING_PRIVILEGE,
            f'login {login} may not make roles. As a superuser: ALTER ROLE "{login}" CREATEROLE; '
            "With CloudNativePG, in the Cluster: spec: {managed: {roles: "
            f"[{{name: {login}, ensure: present, login: true, createrole: true}}]}}}}",
        )
    if not found["creates"]:
        raise StoreProblem(
            Reason.MISSING_PRIVILEGE,
            f"login {login} may not make schemas in database {dbname}. As its owner: "
            f'GRANT CREATE ON DATABASE "{dbname}" TO "{login}";',
        )
