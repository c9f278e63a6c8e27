"""Moving a tenant's pointer to a revision, and retiring the revisions that nobody reads any more (DATA §4).

A promotion is two statements of one transaction: the first locks the pointer, which is also the change clock, so that
no sync, index batch or other promoter moves meanwhile; the second judges in a fresh snapshot. One statement alone would
re-read the locked row but keep an old snapshot of the others: it wrongly refused 9 of 30 (probe E).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.sql import SQL

from rag_operator.stores.erasure import LOCK_TIMEOUT
from rag_operator.stores.leases import holding_back, read_leases
from rag_operator.stores.transaction import Transaction

_LOCK = SQL("SELECT schema FROM {c}.pointer WHERE tenant = %s FOR UPDATE")
_JUDGE = SQL("""
SELECT p.open, p.active, p.seq, p.promotion, p.summary, r.number, r.state, r.shape,
  coalesce((SELECT min(w.watermark) FROM {s}.run w
    WHERE w.step = 'Index' AND w.revision = %(revision)s), 0) AS watermark
FROM {c}.pointer p LEFT JOIN {s}.revision r ON r.number = %(revision)s WHERE p.tenant = %(tenant)s
""")
_NUMBER = SQL("UPDATE {c}.promotion SET number = number + 1 RETURNING number")
_REPLACE = SQL(
    "UPDATE {s}.revision SET state = 'Retained', replaced_at = now() WHERE state = 'Active' AND number <> %s"
)
_ACTIVATE = SQL("UPDATE {s}.revision SET state = 'Active', promoted_at = now(), replaced_at = NULL WHERE number = %s")
_MOVE = SQL("""
UPDATE {c}.pointer p SET active = %(revision)s, promotion = %(number)s,
  shape = (SELECT r.shape FROM {s}.revision r WHERE r.number = %(revision)s),
  summary = CASE WHEN (p.summary #>> '{{ready,revision}}')::int = %(revision)s
    THEN (p.summary - 'ready' - 'index') || jsonb_build_object('active', p.summary -> 'ready')
    ELSE (p.summary - 'index') || jsonb_build_object('active', jsonb_build_object('revision', %(revision)s::int)) END
    || jsonb_build_object('promotedAt', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
WHERE p.tenant = %(tenant)s
""")
_BUMP = SQL("SELECT {c}.bump(%s)")
_VERSION = SQL("SELECT version FROM {c}.pointer WHERE tenant = %s")
_PLACE = SQL("SELECT schema FROM {c}.pointer WHERE tenant = %s")
_REVISIONS = SQL("""
SELECT r.number, r.spec_hash, r.shape, r.state, r.built, r.message, r.created_at, r.promoted_at, r.replaced_at,
  coalesce((SELECT min(w.watermark) FROM {s}.run w WHERE w.step = 'Index' AND w.revision = r.number), 0) AS watermark
FROM {s}.revision r ORDER BY r.number
""")
_RETIRING = SQL("UPDATE {s}.revision SET state = 'Retiring' WHERE number = %s")
_END_RUNS = SQL("""
UPDATE {s}.run SET epoch = epoch + 1, holder = '', expires_at = '-infinity' WHERE step = 'Index' AND revision = %s
""")
_DROP_VIEW = SQL("DROP VIEW IF EXISTS {s}.{view}")
_DROP_TABLES = SQL("DROP TABLE IF EXISTS {s}.{chunk}, {s}.{post}, {s}.{term}, {s}.{stat}")
_FORGET_RUNS = SQL("DELETE FROM {s}.run WHERE step = 'Index' AND revision = %s")
_RETIRED = SQL("UPDATE {s}.revision SET state = 'Retired' WHERE number = %s")


class Refusal(StrEnum):
    """Why a promotion or a retirement did not happen."""

    TENANT_UNKNOWN = "TenantUnknown"
    TENANT_CLOSED = "TenantClosed"
    ACTIVE_MOVED = "ActiveMoved"
    REVISION_UNKNOWN = "RevisionUnknown"
    REVISION_NOT_READY = "RevisionNotReady"
    REVISION_ACTIVE = "RevisionActive"
    LAGGING = "Lagging"
    STILL_READ = "StillRead"
    BEGUN = "Begun"


@dataclass(frozen=True, slots=True)
class PromotionResult:
    """`refusal` None: promoted, and `promotion` and `version` are the pointer's new ones."""

    refusal: Refusal | None
    message: str
    promotion: int = 0
    version: int = 0

    @property
    def promoted(self) -> bool:
        """Whether the pointer moved."""
        return self.refusal is None


@dataclass(frozen=True, slots=True)
class Revision:
    """One built index of a tenant. `watermark` is the change clock up to which it holds the documents."""

    number: int
    spec_hash: str
    shape: Mapping[str, Any]
    state: str
    built: bool
    message: str
    created_at: datetime
    promoted_at: datetime | None
    replaced_at: datetime | None
    watermark: int


@dataclass(frozen=True, slots=True)
class Retirement:
    """`refusal` None: the revision's tables are gone. `waiting_for` names the pods of STILL_READ."""

    refusal: Refusal | None
    waiting_for: tuple[str, ...] = ()

    @property
    def retired(self) -> bool:
        """Whether the tables are gone."""
        return self.refusal is None


async def promote(
    tx: Transaction, tenant: UUID, revision: int, expected_active: int | None, allowed_lag: int = 0
) -> PromotionResult:
    """Let answers come from `revision`, forwards or back to a retained one.

    `allowed_lag` is how many changes of content its watermark may be behind the change clock; deletes and changes of
    ACL reach all live revisions in their own transaction and never lag. Refused: nothing is changed.
    """
    locked = await tx.change(_LOCK, [tenant])
    if not locked:
        return PromotionResult(Refusal.TENANT_UNKNOWN, f"tenant {tenant} has no pointer in this catalog")
    schema = str(locked[0]["schema"])
    # a statement of its own: only a fresh snapshot sees what the locks waited for
    found = await _look(tx, tenant, revision, schema)
    refused = _judge(found, revision, expected_active, allowed_lag)
    return refused or await _move(tx, tenant, revision, schema)


def _judge(found: DictRow, revision: int, expected: int | None, allowed_lag: int) -> PromotionResult | None:
    if not found["open"]:
        return PromotionResult(Refusal.TENANT_CLOSED, "the tenant is closed")
    if found["active"] != expected:
        return PromotionResult(Refusal.ACTIVE_MOVED, f"revision {found['active']} is active, {expected} was expected")
    if found["number"] is None:
        return PromotionResult(Refusal.REVISION_UNKNOWN, f"there is no revision {revision}")
    if found["state"] not in ("Ready", "Retained"):
        return PromotionResult(Refusal.REVISION_NOT_READY, f"revision {revision} is {found['state']}")
    if (lag := found["seq"] - found["watermark"]) > allowed_lag:
        return PromotionResult(
            Refusal.LAGGING, f"revision {revision} is {lag} changes behind, {allowed_lag} are allowed"
        )
    return None


async def _move(tx: Transaction, tenant: UUID, revision: int, schema: str) -> PromotionResult:
    number = int((await tx.change(_NUMBER))[0]["number"])
    await tx.change(_REPLACE, [revision], s=schema)
    await tx.change(_ACTIVATE, [revision], s=schema)
    await tx.change(_MOVE, {"tenant": tenant, "revision": revision, "number": number}, s=schema)
    await tx.change(_BUMP, [tenant])
    row = await tx.row(_VERSION, [tenant])
    return PromotionResult(None, f"revision {revision} is active", number, int(row["version"]) if row else 0)


async def revisions(tx: Transaction, schema: str) -> list[Revision]:
    """All revisions of the tenant whose schema it is, retired ones too, by number."""
    return [Revision(**row) for row in await tx.rows(_REVISIONS, s=schema)]


async def retire(tx: Transaction, tenant: UUID, revision: int) -> Retirement:
    """One step towards dropping a revision that isn't active; call it, each time in a new transaction, until `retired`.

    The first call ends its Jobs and lets no more begin (BEGUN): committed, so that from then on it takes no writes and
    can't be promoted. Later ones drop it, once no live pod may read it (STILL_READ until then). A call that waits
    writes nothing. StoreTrouble when a reader holds a table for longer than the lock timeout.
    """
    place = await tx.row(_PLACE, [tenant])
    if place is None:
        return Retirement(Refusal.TENANT_UNKNOWN)
    schema = str(place["schema"])
    seen = await _look(tx, tenant, revision, schema)
    if seen["number"] is None:
        return Retirement(Refusal.REVISION_UNKNOWN)
    if seen["state"] == "Retired":
        return Retirement(None)
    if seen["state"] == "Retiring":
        return await _drop(tx, tenant, revision, schema)
    await tx.change(_LOCK, [tenant])
    found = await _look(tx, tenant, revision, schema)
    if found["active"] == revision or found["state"] == "Active":
        return Retirement(Refusal.REVISION_ACTIVE)
    await tx.change(_END_RUNS, [revision], s=schema)
    await tx.change(_RETIRING, [revision], s=schema)
    return Retirement(Refusal.BEGUN)


async def _look(tx: Transaction, tenant: UUID, revision: int, schema: str) -> DictRow:
    return (await tx.rows(_JUDGE, {"tenant": tenant, "revision": revision}, s=schema))[0]


async def _drop(tx: Transaction, tenant: UUID, revision: int, schema: str) -> Retirement:
    seen = await _look(tx, tenant, revision, schema)
    if waiting := holding_back(await read_leases(tx), seen["promotion"]):
        return Retirement(Refusal.STILL_READ, waiting)
    await tx.lock_timeout(LOCK_TIMEOUT)
    await tx.change(_LOCK, [tenant])
    found = await _look(tx, tenant, revision, schema)
    if found["active"] == revision or found["state"] != "Retiring":
        return Retirement(Refusal.REVISION_ACTIVE)
    await tx.change(_DROP_VIEW, s=schema, view=f"chunk_r{revision}_v")
    tables = {name: f"{name}_r{revision}" for name in ("chunk", "post", "term", "stat")}
    await tx.change(_DROP_TABLES, s=schema, **tables)
    await tx.change(_FORGET_RUNS, [revision], s=schema)
    await tx.change(_RETIRED, [revision], s=schema)
    return Retirement(None)
