"""Conditions: what a resource says about itself, with a reason for programs and a sentence for people."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from rag_operator.api.common import ListMap, StatusModel, Time


class ConditionType(StrEnum):
    """Condition types, in the order in which they are shown."""

    READY = "Ready"
    AVAILABLE = "Available"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    DATABASE_READY = "DatabaseReady"
    CACHE_READY = "CacheReady"
    QUERY_READY = "QueryReady"
    RUNTIME_CURRENT = "RuntimeCurrent"
    INDEX_CURRENT = "IndexCurrent"
    INGEST_SUCCEEDED = "IngestSucceeded"
    PAUSED = "Paused"


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Reason(StrEnum):
    """Why a condition is what it is. A contract: alerts and scripts compare these."""

    # all is well
    READY = "Ready"
    AS_EXPECTED = "AsExpected"
    SUCCEEDED = "Succeeded"
    # on the way
    RECONCILING = "Reconciling"
    STARTING = "Starting"
    ROLLING_OUT = "RollingOut"
    WAITING = "Waiting"
    WAITING_FOR_SLOT = "WaitingForSlot"
    INGESTING = "Ingesting"
    BUILDING_INDEX = "BuildingIndex"
    DELETING = "Deleting"
    # a person decided so
    PAUSED = "Paused"
    NOT_PAUSED = "NotPaused"
    SUSPENDED = "Suspended"
    # a person must mend it
    INVALID_SPEC = "InvalidSpec"
    NAME_TAKEN = "NameTaken"
    REFUSED = "Refused"
    RECONCILE_FAILED = "ReconcileFailed"
    PIPELINE_NOT_FOUND = "PipelineNotFound"
    PIPELINE_NOT_READY = "PipelineNotReady"
    NOT_ALLOWED_BY_PIPELINE = "NotAllowedByPipeline"
    NAMESPACE_NOT_WATCHED = "NamespaceNotWatched"
    TENANTS_REMAIN = "TenantsRemain"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105  a reason, no secret
    SECRET_INVALID = "SecretInvalid"  # noqa: S105
    CA_NOT_FOUND = "CANotFound"
    CA_INVALID = "CAInvalid"
    SERVICE_ACCOUNT_NOT_FOUND = "ServiceAccountNotFound"
    SOURCE_NOT_FOUND = "SourceNotFound"
    RETAINED_DATA = "RetainedData"
    # the database
    DATABASE_UNREACHABLE = "DatabaseUnreachable"
    DATABASE_UNSUITABLE = "DatabaseUnsuitable"
    MISSING_PRIVILEGE = "MissingPrivilege"
    ROLE_TAKEN = "RoleTaken"
    CATALOG_MISMATCH = "CatalogMismatch"
    CATALOG_TAKEN = "CatalogTaken"
    # cache, query, ingestion
    CACHE_UNREACHABLE = "CacheUnreachable"
    NO_PODS_READY = "NoPodsReady"
    PODS_FAILING = "PodsFailing"
    SCALING_UNAVAILABLE = "ScalingUnavailable"
    NOT_INGESTED = "NotIngested"
    INGESTION_FAILED = "IngestionFailed"
    DEAD_LETTERS = "DeadLetters"
    PROBE_FAILED = "ProbeFailed"


class Condition(StatusModel):
    """One statement about a resource."""

    type: Annotated[str, Field(min_length=1, max_length=64)]
    """What the statement is about."""
    status: ConditionStatus
    """Whether it holds."""
    reason: Annotated[str, Field(min_length=1, max_length=64)]
    """Why, in one CamelCase word."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """Why, in a sentence that says the mend where there is something to mend."""
    observed_generation: int | None = None
    """Generation of the spec that the statement is about."""
    last_transition_time: Time = ""
    """When status last changed."""


Conditions = Annotated[tuple[Condition, ...], ListMap("type"), Field(max_length=32)]


def condition(
    kind: ConditionType, status: bool | None, reason: Reason, message: str, generation: int | None = None
) -> Condition:
    """A new statement; None means Unknown. `merge` gives it its time."""
    word = {True: ConditionStatus.TRUE, False: ConditionStatus.FALSE, None: ConditionStatus.UNKNOWN}[status]
    return Condition(type=kind, status=word, reason=reason, message=message, observed_generation=generation)


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """The statement of that type, or None."""
    return next((c for c in conditions if c.type == kind), None)


def is_true(conditions: Iterable[Condition], kind: str) -> bool:
    """Whether the statement of that type is there and holds."""
    found = find(conditions, kind)
    return found is not None and found.status is ConditionStatus.TRUE


def newest_change(conditions: Iterable[Condition]) -> datetime | None:
    """When a status changed last; None where none has a time yet."""
    times = [c.last_transition_time for c in conditions if c.last_transition_time]
    return datetime.fromisoformat(max(times)) if times else None


def merge(old: Sequence[Condition], new: Sequence[Condition], now: datetime) -> tuple[Condition, ...]:
    """The new statements, each with the time since when its status holds.

    A status that stays keeps its time, whatever reason and message do. Ours that are not in `new` are dropped; those
    of types that others wrote stay. The order is fixed, so that equal statements give an equal status. `now` is aware.
    """
    stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    before = {c.type: c for c in old}
    given = {c.type: c for c in new}
    ours = {str(kind) for kind in ConditionType}
    foreign = [c for c in old if c.type not in ours and c.type not in given]
    order = [kind for kind in ConditionType if kind in given] + [kind for kind in given if kind not in ours]
    return tuple(_timed(given[kind], before.get(kind), stamp) for kind in order) + tuple(foreign)


def put(old: Sequence[Condition], new: Sequence[Condition], now: datetime) -> tuple[Condition, ...]:
    """The old statements with new ones in the place of those of their types."""
    given = {c.type for c in new}
    return merge(old, [*(c for c in old if c.type not in given), *new], now)


def _timed(new: Condition, old: Condition | None, stamp: str) -> Condition:
    kept = old is not None and old.status is new.status and old.last_transition_time
    return new.model_copy(update={"last_transition_time": old.last_transition_time if old and kept else stamp})
