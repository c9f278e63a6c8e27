"""Tenants in a catalog: their row, roles, schema and pointer; taking in, closing, keeping.

The row comes first and everything else derives from it, each step only where something is missing: a run after a crash,
or on a catalog restored without its roles, completes it. A run that finds nothing to do writes nothing (DESIGN §3).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.sql import SQL, Composed, Identifier, Literal
from psycopg.types.json import Jsonb

from rag_operator.api import GROUP
from rag_operator.api.conditions import Reason
from rag_operator.stores.erasure import deactivate, erase, prove_erased, retain
from rag_operator.stores.errors import QueryLoginNeeded, StoreProblem, StoreTrouble
from rag_operator.stores.migrate import advance, behind, check_version
from rag_operator.stores.roles import check_mark, mark
from rag_operator.stores.scram import verifier
from rag_operator.stores.tenant_rows import (
    ACTIVE,
    DEACTIVATED,
    ERASING,
    TenantRow,
    changed_tenant,
    read_roles,
    read_tenant,
    returning,
    tell_pods,
)
from rag_operator.stores.transaction import Transaction
from rag_runtime.contract.migrations import TENANT_STEPS, Step
from rag_runtime.contract.names import READERS_PER_LOGIN, TenantNames
from rag_runtime.contract.tenant import TENANT_VERSION, tenant_ddl

__all__ = [
    "ANNOTATION_ADOPT",
    "ANNOTATION_ERASE",
    "TenantRequest",
    "TenantRow",
    "deactivate",
    "ensure_tenant",
    "erase",
    "is_behind",
    "prove_erased",
    "read_tenant",
    "retain",
    "stands",
]

_log = logging.getLogger(__name__)
ANNOTATION_ADOPT = f"{GROUP}/adopt-retained"
ANNOTATION_ERASE = f"{GROUP}/erase-retained"
INGESTION_CONNECTIONS = 8

_SHARD = SQL("""
SELECT l.shard, count(t.id) AS readers FROM {c}.query_login l LEFT JOIN {c}.tenant t ON t.shard = l.shard
GROUP BY l.shard ORDER BY l.shard
""")
_INSERT = returning("""
INSERT INTO {c}.tenant (id, namespace, name, uid, state, schema, reader, ingestion, shard)
VALUES (%(id)s, %(namespace)s, %(name)s, %(uid)s, 'Active', %(schema)s, %(reader)s, %(ingestion)s, %(shard)s)
""")
_CREATE_INGESTION = SQL("CREATE ROLE {role} LOGIN CONNECTION LIMIT {limit} PASSWORD {verifier}")
_SET_PASSWORD = SQL("ALTER ROLE {role} LOGIN CONNECTION LIMIT {limit} PASSWORD {verifier}")
_CREATE_READER = SQL("CREATE ROLE {role} NOLOGIN ROLE {query}")
_CREATE_SCHEMA = SQL("CREATE SCHEMA {s} AUTHORIZATION {owner}")
_INSERT_POINTER = SQL("INSERT INTO {c}.pointer (tenant, schema, login) VALUES (%s, %s, %s)")
_FORGET_INDEX = SQL("UPDATE {c}.pointer SET active = NULL, shape = NULL, summary = '{{}}' WHERE tenant = %s")
_BUMP = SQL("SELECT {c}.bump(%s)")
_SETTLE = returning("""
UPDATE {c}.tenant SET uid = %(uid)s, state = 'Active', api_keys = %(keys)s, config = %(config)s,
  credential_version = %(credential)s, schema_version = %(version)s, changed_at = now() WHERE id = %(id)s
""")
_OPEN = SQL("UPDATE {c}.pointer SET open = true WHERE tenant = %s")


@dataclass(frozen=True, slots=True)
class TenantRequest:
    """What a RagTenant wants of the catalog."""

    namespace: str
    name: str
    uid: str
    incarnation: UUID
    """Fresh: used when there is no data of that name yet."""
    password: str = field(repr=False)
    """Of the ingestion login."""
    credential_version: str
    """State of the Secret that holds it; the password is set when it differs from the stored one."""
    api_key_hashes: tuple[str, ...]
    config: Mapping[str, Any]
    """JSON that query pods read."""
    adopt: UUID | None = None
    """The annotation rag-operator.dev/adopt-retained: the incarnation to take over."""


async def ensure_tenant(tx: Transaction, request: TenantRequest, steps: Sequence[Step] = TENANT_STEPS) -> TenantRow:
    """The tenant's row, roles, schema and pointer as the request wants them; query pods are told of a change.

    A schema of an earlier release is taken on by one step at most: call again while `is_behind`.

    QueryLoginNeeded when no query login has room. StoreProblem RETAINED_DATA when the name's data belongs to an earlier
    tenant, ROLE_TAKEN when a role of ours exists without our mark. StoreTrouble DELETING while that data is erased.
    """
    found = await read_tenant(tx, request.namespace, request.name)
    if found is not None:
        _check(found, request, steps)
    row = found or await _insert(tx, request)
    laid = await read_roles(tx, row)
    version = row.schema_version
    async with tx.together():
        changed = await _ensure_roles(tx, row, request, laid)
        if not laid[row.ingestion]["schema"]:
            await _lay_schema(tx, row)
            changed, version = True, TENANT_VERSION
        if not row.laid:
            await tx.change(_INSERT_POINTER, [row.id, row.schema, row.ingestion])
    version = await _migrated(tx, row, version, steps)
    if found is None or changed or not row.laid or _differs(row, request, version):
        return await _settle(tx, row, request, version)
    return row


def stands(
    row: TenantRow,
    roles: Mapping[str, DictRow],
    mark: str,
    request: TenantRequest,
    steps: Sequence[Step] = TENANT_STEPS,
) -> bool:
    """Whether `ensure_tenant` would find nothing to do for this row and these roles; `mark` is the catalog's.

    What it would refuse is raised.
    """
    _check(row, request, steps)
    return (
        row.laid
        and not is_behind(row, steps)
        and not _differs(row, request, row.schema_version)
        and row.credential_version == request.credential_version
        and all(part["exists"] and part["schema"] and part["mark"] == mark for part in roles.values())
        and bool(roles[row.ingestion]["login"])
    )


def is_behind(row: TenantRow, steps: Sequence[Step] = TENANT_STEPS) -> bool:
    """Whether the tenant's schema has steps before it."""
    return behind(row.schema_version, steps)


async def _migrated(tx: Transaction, row: TenantRow, version: int, steps: Sequence[Step]) -> int:
    names = row.names(tx.catalog)
    places = {"c": tx.catalog.schema, "s": names.schema, "login": names.ingestion, "reader": names.reader}
    return await advance(tx, "tenant", version, steps, places)


def _check(row: TenantRow, request: TenantRequest, steps: Sequence[Step]) -> None:
    _check_claim(row, request)
    known = max(TENANT_VERSION, *(step.version for step in steps), 0)
    check_version(f"tenant {row.namespace}/{row.name}", row.schema_version, known)


def _check_claim(row: TenantRow, request: TenantRequest) -> None:
    if row.state == ERASING:
        raise StoreTrouble(
            f"data of an earlier tenant {row.namespace}/{row.name} ({row.id}) is being erased; this goes on by itself",
            Reason.DELETING,
        )
    if row.state == DEACTIVATED and row.uid == request.uid:
        return  # its pipeline did not take it for a while
    if request.adopt == row.id or (row.state == ACTIVE and row.is_of(request.uid)):
        return
    raise StoreProblem(
        Reason.RETAINED_DATA,
        f"data of an earlier tenant {row.namespace}/{row.name} exists: annotate this one with "
        f"{ANNOTATION_ADOPT}: {row.id} to take it over, or with {ANNOTATION_ERASE}: {row.id} to erase it",
    )


async def _insert(tx: Transaction, request: TenantRequest) -> TenantRow:
    names = TenantNames(tx.catalog, request.incarnation, request.name)
    values = {
        "id": request.incarnation,
        "namespace": request.namespace,
        "name": request.name,
        "uid": request.uid,
        "schema": names.schema,
        "reader": names.reader,
        "ingestion": names.ingestion,
        "shard": await _shard(tx),
    }
    return await _changed(tx, _INSERT, values, request)


async def _shard(tx: Transaction) -> int:
    """The first query login with room; probe C: few readers a login keep SET ROLE cheap."""
    logins = await tx.rows(_SHARD)
    for login in logins:
        if login["readers"] < READERS_PER_LOGIN:
            return int(login["shard"])
    raise QueryLoginNeeded(1 + max((int(login["shard"]) for login in logins), default=-1))


async def _ensure_roles(tx: Transaction, row: TenantRow, request: TenantRequest, laid: Mapping[str, DictRow]) -> bool:
    for role, part in laid.items():
        if part["exists"]:
            check_mark(tx.catalog, role, part["mark"])
    ingestion, reader = laid[row.ingestion], laid[row.reader]
    current = ingestion["exists"] and ingestion["login"] and row.credential_version == request.credential_version
    if current and reader["exists"]:
        return False
    statements: dict[str | None, list[Composed]] = {}
    if not current:
        statement = _SET_PASSWORD if ingestion["exists"] else _CREATE_INGESTION
        limit, secret = Literal(INGESTION_CONNECTIONS), Literal(verifier(request.password))
        changed = statement.format(role=Identifier(row.ingestion), limit=limit, verifier=secret)
        statements.setdefault(ingestion["actor"], []).append(changed)
    if not reader["exists"]:
        query = Identifier(tx.catalog.query_login(row.shard))
        made = _CREATE_READER.format(role=Identifier(row.reader), query=query)
        statements.setdefault(reader["actor"], []).append(made)
    for role, part in laid.items():
        if not part["exists"]:
            statements[part["actor"]].append(mark(tx.catalog, role))
    for actor, some in statements.items():
        await tx.acting(actor, *some)
    return True


async def _lay_schema(tx: Transaction, row: TenantRow) -> None:
    await tx.as_login(_CREATE_SCHEMA.format(s=Identifier(row.schema), owner=Identifier(tx.catalog.owner)))
    await tx.script(tenant_ddl(row.names(tx.catalog)))
    if row.active is not None:
        # somebody dropped the schema: answer from nothing until ingestion has built it again, instead of failing
        _log.warning("schema was missing", extra={"tenant": f"{row.namespace}/{row.name}", "schema": row.schema})
        await tx.change(_FORGET_INDEX, [row.id])
        await tx.change(_BUMP, [row.id])


def _differs(row: TenantRow, request: TenantRequest, version: int) -> bool:
    wanted = (request.uid, ACTIVE, True, request.api_key_hashes, json.loads(json.dumps(request.config)), version)
    return (row.uid, row.state, row.open, row.api_keys, row.config, row.schema_version) != wanted


async def _changed(tx: Transaction, change: SQL, values: Mapping[str, Any], request: TenantRequest) -> TenantRow:
    row = await changed_tenant(tx, change, values)
    if row is None:
        raise StoreTrouble(f"the row of tenant {request.namespace}/{request.name} vanished", Reason.RECONCILING)
    return row


async def _settle(tx: Transaction, row: TenantRow, request: TenantRequest, version: int) -> TenantRow:
    values = {
        "id": row.id,
        "uid": request.uid,
        "keys": list(request.api_key_hashes),
        "config": Jsonb(dict(request.config)),
        "credential": request.credential_version,
        "version": version,
    }
    async with tx.together():
        if row.laid and not row.open:
            await tx.change(_OPEN, [row.id])
        await tell_pods(tx, row.id)
    return await _changed(tx, _SETTLE, values, request)
