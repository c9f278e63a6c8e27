"""Leases of query pods: which promotion each has applied, and the oldest that a request of it still uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg.rows import DictRow
from psycopg.sql import SQL

from rag_operator.stores.transaction import Transaction

_LEASES = SQL("""
SELECT pod, applied, pinned, expires_at > now() AND expires_at < now() + interval '1 day' AS live,
  expires_at NOT BETWEEN now() - interval '1 day' AND now() + interval '1 day' AS stray,
  CASE WHEN jsonb_typeof(failures) = 'object' THEN (SELECT jsonb_object_agg(key, coalesce(value, ''))
  FROM jsonb_each_text(failures)) END AS failures
FROM {c}.reader_lease ORDER BY pod
""")
"""Any query login may write any JSON there, and times for which Python has no value. None means a day or more."""
_DROP_STRAY = SQL("""
DELETE FROM {c}.reader_lease WHERE expires_at NOT BETWEEN now() - interval '1 day' AND now() + interval '1 day'
""")


@dataclass(frozen=True, slots=True)
class Lease:
    """One query pod. `applied` and `pinned` are numbers of the catalog's promotion counter."""

    pod: str
    applied: int
    pinned: int
    failures: Mapping[str, str]
    """What keeps the pod from serving, by name (an embedding profile, a tenant)."""
    live: bool
    stray: bool = False
    """Of a pod that died a day ago and more, or one that no pod wrote."""


async def read_leases(tx: Transaction) -> list[Lease]:
    """All leases, expired ones too, in order of the pods' names."""
    return [_lease(row) for row in await tx.rows(_LEASES)]


async def drop_stray(tx: Transaction, leases: list[Lease]) -> None:
    """Each pod that is killed leaves one."""
    if any(lease.stray for lease in leases):
        await tx.change(_DROP_STRAY)


def _lease(row: DictRow) -> Lease:
    return Lease(**{**row, "failures": row["failures"] or {}})


def holding_back(leases: list[Lease], promotion: int) -> tuple[str, ...]:
    """Live pods that may still answer from what `promotion` replaced: their oldest request began before it."""
    return tuple(lease.pod for lease in leases if lease.live and lease.pinned < promotion)
