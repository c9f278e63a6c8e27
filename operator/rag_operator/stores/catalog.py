"""Making, finding and taking over a pipeline's catalog.

A catalog is bound to its pipeline by id (in the pipeline's status) and by the pipeline's uid (in the catalog). Whatever
doesn't fit is refused with no write (DATA §7): a Secret that points elsewhere, a restored backup, a rebuilt cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from psycopg import errors
from psycopg.sql import SQL, Identifier

from rag_operator.api.conditions import Reason
from rag_operator.stores import metrics
from rag_operator.stores.address import DatabaseAddress
from rag_operator.stores.database import Databases
from rag_operator.stores.errors import StoreProblem
from rag_operator.stores.migrate import check_version
from rag_operator.stores.pool import Connection
from rag_operator.stores.roles import ROLE, check_mark, mark
from rag_runtime.contract.catalog import CATALOG_VERSION, catalog_ddl
from rag_runtime.contract.names import CatalogNames

__all__ = ["CatalogRequest", "ensure_catalog"]

_CANDIDATES = r"""
SELECT n.nspname AS schema FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'instance'
JOIN pg_roles o ON o.oid = n.nspowner AND o.rolname = n.nspname || '_owner'
WHERE n.nspname ~ '^rag_[0-9a-f]{12}$' AND c.relkind = 'r' AND c.relowner = n.nspowner
  AND pg_has_role(n.nspowner, 'USAGE') ORDER BY 1
"""
_INSTANCE = SQL("SELECT catalog_id, pipeline, pipeline_uid, schema_version FROM {c}.instance")
_SCHEMA = "SELECT pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE nspname = %s"
_SERIALISE = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_CREATE_OWNER = SQL("CREATE ROLE {owner} NOLOGIN ROLE CURRENT_USER")
_JOIN_OWNER = SQL("GRANT {owner} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE")
_CREATE_SCHEMA = SQL("CREATE SCHEMA {c} AUTHORIZATION {owner}")
_AS_OWNER = SQL("SET LOCAL ROLE {owner}")
_AS_LOGIN = "SET LOCAL ROLE NONE"
_INSERT = SQL("INSERT INTO {c}.instance (catalog_id, pipeline, pipeline_uid, schema_version) VALUES (%s, %s, %s, %s)")
_ADOPT = SQL("UPDATE {c}.instance SET pipeline = %s, pipeline_uid = %s WHERE pipeline_uid = %s")
_UNBIND = SQL("UPDATE {c}.tenant SET uid = '' WHERE state = 'Active'")
_PUBLIC = """
SELECT d.datname, pg_has_role(d.datdba, 'USAGE') AS owns,
  coalesce(bool_or(a.privilege_type = 'CONNECT'), false) AS connects,
  coalesce(bool_or(a.privilege_type = 'TEMPORARY'), false) AS makes_temporary
FROM pg_database d LEFT JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a ON a.grantee = 0
WHERE d.datname = current_database() GROUP BY d.datname, d.datdba
"""
_REVOKE_TEMPORARY = SQL("REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
_GRANT_CONNECT = SQL("GRANT CONNECT ON DATABASE {database} TO PUBLIC")


@dataclass(frozen=True, slots=True)
class CatalogRequest:
    """What the pipeline says about its catalog. `pipeline` is namespace/name; `fresh` names a catalog to be made."""

    pipeline: str
    pipeline_uid: str
    expected: UUID | None
    """`status.catalogID`."""
    adopt: UUID | None
    """`spec.database.adopt`: wins over all else."""
    fresh: UUID


@dataclass(frozen=True, slots=True)
class _Instance:
    names: CatalogNames
    pipeline: str
    pipeline_uid: str
    version: int


async def ensure_catalog(databases: Databases, address: DatabaseAddress, request: CatalogRequest) -> CatalogNames:
    """The pipeline's catalog: found, taken over, or made; in one transaction, so a crash leaves nothing half done.

    StoreProblem CATALOG_MISMATCH, ROLE_TAKEN or MISSING_PRIVILEGE says the mend and means that nothing was written.
    A taken-over catalog's tenants are bound to their resources anew, by name, as they come.
    """
    async with databases.session(address) as connection:
        found = _choose(request, await _instances(connection, request))
        if found is None:
            await connection.execute(_SERIALISE, [f"rag-operator catalog of {request.pipeline_uid}"])
            # whoever made one while we waited has committed: this statement sees it
            found = _choose(request, await _instances(connection, request))
        await _settle_database(connection)
        if found is None:
            await _create(connection, request)
            return CatalogNames(request.fresh)
        check_version(f"catalog {found.names.catalog}", found.version, CATALOG_VERSION)
        if found.pipeline_uid != request.pipeline_uid:
            await _take_over(connection, found, request)
        return found.names


async def _instances(connection: Connection, request: CatalogRequest) -> list[_Instance]:
    for named in (request.adopt, request.expected):
        if named is not None:
            await _join_owner(connection, CatalogNames(named))
    found = []
    for candidate in await (await connection.execute(_CANDIDATES)).fetchall():
        schema = str(candidate["schema"])
        row = await (await connection.execute(_INSTANCE.format(c=Identifier(schema)))).fetchone()
        if row is not None and CatalogNames(row["catalog_id"]).schema == schema:
            names = CatalogNames(row["catalog_id"])
            found.append(_Instance(names, row["pipeline"], row["pipeline_uid"], row["schema_version"]))
    return found


async def _join_owner(connection: Connection, names: CatalogNames) -> None:
    """Become a member of the owner: another login may have made the catalog (a restored cluster, a new Secret)."""
    schema = await (await connection.execute(_SCHEMA, [names.schema])).fetchone()
    role = await (await connection.execute(ROLE, [names.owner])).fetchone()
    if schema is None or role is None or role["member"]:
        return
    check_mark(names, names.owner, role["mark"])
    try:
        await connection.execute(_JOIN_OWNER.format(owner=Identifier(names.owner)))
    except (errors.InsufficientPrivilege, errors.InternalError_):
        # the second: "no possible grantors", when the right to grant is there but not inherited
        raise StoreProblem(
            Reason.MISSING_PRIVILEGE,
            f"this login may not act for catalog {names.catalog}, which another login made: name that login in the "
            f'Secret again, or as a superuser: GRANT {names.owner} TO "{role["login"]}" WITH INHERIT TRUE, SET TRUE;',
        ) from None


def _choose(request: CatalogRequest, found: list[_Instance]) -> _Instance | None:
    """The catalog to use, or None to make one; StoreProblem CATALOG_MISMATCH when neither is right."""
    named = request.adopt or request.expected
    if named is not None:
        return _named(request, named, found)
    mine = [instance for instance in found if instance.pipeline == request.pipeline]
    for instance in mine:
        if instance.pipeline_uid == request.pipeline_uid:
            return instance
    if mine:
        ids = " or ".join(str(instance.names.catalog) for instance in mine)
        raise _mismatch(
            f"the database holds catalog {ids} of an earlier pipeline {request.pipeline}: to take it over with its "
            f"tenants' data, set spec.database.adopt: {mine[-1].names.catalog}; to begin empty, use another database"
        )
    return None


def _named(request: CatalogRequest, named: UUID, found: list[_Instance]) -> _Instance:
    match = next((instance for instance in found if instance.names.catalog == named), None)
    others = ", ".join(f"{instance.names.catalog} of {instance.pipeline}" for instance in found) or "none"
    if match is None and request.adopt is not None:
        raise _mismatch(
            f"spec.database.adopt names catalog {named}, which this database doesn't hold (it holds: {others}): "
            "correct the id or the Secret, or remove the field"
        )
    if match is None:
        raise _mismatch(
            f"this pipeline's catalog {named} is not in this database (it holds: {others}): point the Secret back, "
            "restore the backup, or name the catalog to take over in spec.database.adopt; nothing was written"
        )
    if match.pipeline_uid != request.pipeline_uid and request.adopt is None:
        raise _mismatch(
            f"catalog {named} belongs to another pipeline ({match.pipeline}, uid {match.pipeline_uid}): "
            f"to take it over with its tenants' data, set spec.database.adopt: {named}"
        )
    return match


def _mismatch(message: str) -> StoreProblem:
    return StoreProblem(Reason.CATALOG_MISMATCH, message)


async def _create(connection: Connection, request: CatalogRequest) -> None:
    names = CatalogNames(request.fresh)
    owner, schema = Identifier(names.owner), Identifier(names.schema)
    role = await (await connection.execute(ROLE, [names.owner])).fetchone()
    if role is None:
        await connection.execute(_CREATE_OWNER.format(owner=owner))
        await connection.execute(mark(names, names.owner))
    else:
        check_mark(names, names.owner, role["mark"])
        await connection.execute(_JOIN_OWNER.format(owner=owner))
    if await (await connection.execute(_SCHEMA, [names.schema])).fetchone() is not None:
        raise StoreProblem(Reason.CATALOG_TAKEN, f"schema {names.schema} exists and is no catalog: rename or drop it")
    await connection.execute(_CREATE_SCHEMA.format(c=schema, owner=owner))
    await connection.execute(_AS_OWNER.format(owner=owner))
    await connection.execute(catalog_ddl(names))
    metrics.SCHEMA.inc()
    values = [request.fresh, request.pipeline, request.pipeline_uid, CATALOG_VERSION]
    await connection.execute(_INSERT.format(c=schema), values)
    await connection.execute(_AS_LOGIN)


async def _take_over(connection: Connection, found: _Instance, request: CatalogRequest) -> None:
    """In one step: ours from now on, and tenants that were live may be claimed by the resources of their names."""
    schema = Identifier(found.names.schema)
    await connection.execute(_AS_OWNER.format(owner=Identifier(found.names.owner)))
    await connection.execute(_ADOPT.format(c=schema), [request.pipeline, request.pipeline_uid, found.pipeline_uid])
    await connection.execute(_UNBIND.format(c=schema))
    metrics.ROWS.inc(2)
    await connection.execute(_AS_LOGIN)


async def _settle_database(connection: Connection) -> None:
    """Tenants' logins connect through PUBLIC, as grants to each would block dropping them; no temporary tables."""
    row = await (await connection.execute(_PUBLIC)).fetchone()
    if row is None:
        return
    database = Identifier(row["datname"])
    if row["owns"] and row["makes_temporary"]:
        await connection.execute(_REVOKE_TEMPORARY.format(database=database))
    if row["connects"]:
        return
    if not row["owns"]:
        raise StoreProblem(
            Reason.MISSING_PRIVILEGE,
            f"logins of tenants can't connect to database {row['datname']}. As its owner: "
            f'GRANT CONNECT ON DATABASE "{row["datname"]}" TO PUBLIC; (access stays with the roles of each schema)',
        )
    await connection.execute(_GRANT_CONNECT.format(database=database))
