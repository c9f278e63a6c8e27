"""Bringing a schema of an earlier release to today's: when its pipeline or tenant is looked at, a little at a time.

Each transaction is fenced by the leader epoch and takes at most one step, or fills so many rows as the step bounds, so
that none is long; the version is raised in the transaction that completes the step. Whoever dies in between leaves what
the next one goes on from, and pods read the version before as well as the new one meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg.sql import SQL

from rag_operator.api.conditions import Reason
from rag_operator.stores import metrics
from rag_operator.stores.errors import StoreProblem
from rag_operator.stores.transaction import Transaction
from rag_runtime.contract.migrations import CATALOG_STEPS, Step

LOCK_TIMEOUT = 2.0
"""Seconds that a step waits for a table: whoever wants it after us queues behind."""
_VERSION = SQL("SELECT schema_version AS version FROM {c}.instance")
_RAISE = SQL("UPDATE {c}.instance SET schema_version = %s WHERE schema_version < %s")


def check_version(what: str, version: int, known: int) -> None:
    """StoreProblem DATABASE_UNSUITABLE for a schema that this release can't use.

    One version newer is good: the next release has only added to what this one uses, so an upgrade may be rolled back.
    """
    if version > known + 1:
        raise StoreProblem(
            Reason.DATABASE_UNSUITABLE,
            f"{what} has schema version {version}, this operator knows {known}: upgrade the operator",
        )


async def migrate_catalog(tx: Transaction, steps: Sequence[Step] = CATALOG_STEPS) -> bool:
    """Take the catalog on by one step, or a part of it; True once nothing is left, so call again until then."""
    row = await tx.row(_VERSION)
    version = int(row["version"]) if row else 0
    reached = await advance(tx, "catalog", version, steps, {"c": tx.catalog.schema})
    if reached != version:
        await tx.change(_RAISE, [reached, reached])
    return not behind(reached, steps)


async def advance(tx: Transaction, schema: str, version: int, steps: Sequence[Step], names: Mapping[str, str]) -> int:
    """The version that is reached with this transaction; the caller records it. `schema` is for the metric."""
    step = next((step for step in steps if step.version > version), None)
    if step is None:
        return version
    await tx.lock_timeout(LOCK_TIMEOUT)
    await tx.script(step.expand.format(**names))
    if step.fill and await tx.batch(step.fill.format(**names)):
        return version
    metrics.MIGRATIONS.labels(schema, str(step.version)).inc()
    return step.version


def behind(version: int, steps: Sequence[Step]) -> bool:
    """Whether a schema of that version has steps before it."""
    return any(step.version > version for step in steps)
