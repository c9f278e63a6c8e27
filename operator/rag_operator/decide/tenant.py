"""What a tenant's conditions and next steps are, given what was observed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rag_operator.api.conditions import Condition, ConditionType, Reason, condition
from rag_operator.decide.checks import GOOD, RECONCILING, Check, first_trouble


class RunState(StrEnum):
    """How the run that the present configuration asks for stands."""

    DONE = "Done"
    RUNNING = "Running"
    STUCK = "Stuck"
    FAILED = "Failed"
    UNDONE = "Undone"
    """It ended well, and the present configuration was not ingested: it is started anew."""
    MISSING = "Missing"
    WAITING = "Waiting"


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """The tenant's revisions against what the spec asks for, and who serves the active one."""

    active: int | None
    active_current: bool
    candidate: int | None
    promotion: int
    live_leases: int
    behind: int
    probe_failure: str = ""


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """All that a tenant's conditions depend on."""

    generation: int
    spec: Check = GOOD
    pipeline: Check = GOOD
    database: Check = RECONCILING
    sources: Check = GOOD
    index: IndexFacts | None = None
    run: RunState = RunState.MISSING
    run_message: str = ""
    last_run_failed: bool = False
    failed_documents: int = 0
    suspended: bool = False
    deleting: Check | None = None


def served_check(index: IndexFacts | None, run: RunState, run_message: str, *, suspended: bool) -> Check:
    """Whether every live pod answers from the active revision, proven by one retrieval each."""
    if index is None:
        return Check(None, Reason.RECONCILING, "the tenant's schema is being made")
    if index.active is None:
        return _unbuilt(run, run_message, suspended)
    if index.probe_failure:
        return Check(
            False, Reason.PROBE_FAILED, f"a retrieval from revision {index.active} failed: {index.probe_failure}"
        )
    if index.live_leases == 0:
        return Check(None, Reason.NO_PODS_READY, "no query pod has a fresh lease")
    if index.behind:
        return Check(
            None, Reason.ROLLING_OUT, f"{index.behind} of {index.live_leases} query pods don't have the revision yet"
        )
    return Check(True, Reason.READY, f"revision {index.active} answers on every query pod")


def _unbuilt(run: RunState, run_message: str, suspended: bool) -> Check:
    if run is RunState.RUNNING:
        return Check(None, Reason.INGESTING, "the first ingestion runs")
    if run is RunState.STUCK:
        return Check(False, Reason.PODS_FAILING, run_message)
    if run is RunState.WAITING:
        return Check(
            None, Reason.WAITING_FOR_SLOT, "the first ingestion waits for a slot of the pipeline's maxConcurrentJobs"
        )
    if run is RunState.FAILED:
        return Check(False, Reason.INGESTION_FAILED, "the first ingestion failed; see IngestSucceeded")
    if suspended:
        return Check(False, Reason.SUSPENDED, "spec.suspend is true and nothing was ingested yet")
    return Check(None, Reason.NOT_INGESTED, "the first ingestion has not started yet")


def index_check(index: IndexFacts | None) -> Check:
    """Whether the active revision is the one that the spec asks for."""
    if index is None or index.active is None:
        return Check(None, Reason.NOT_INGESTED, "no revision is active yet")
    if index.active_current:
        return Check(True, Reason.AS_EXPECTED, f"revision {index.active} is what the spec asks for")
    return Check(
        None, Reason.BUILDING_INDEX, f"revision {index.active} answers while the one that the spec asks for is built"
    )


def ingest_check(facts: TenantFacts) -> Check:
    """How the last ingestion went."""
    if facts.run is RunState.FAILED or (facts.run is RunState.DONE and facts.last_run_failed):
        return Check(False, Reason.INGESTION_FAILED, facts.run_message or "the last ingestion Job failed")
    if facts.run is RunState.DONE:
        if facts.failed_documents:
            return Check(True, Reason.DEAD_LETTERS, f"{facts.failed_documents} documents could not be read")
        return Check(True, Reason.SUCCEEDED, facts.run_message)
    if facts.run is RunState.STUCK:
        return Check(False, Reason.PODS_FAILING, facts.run_message)
    if facts.run is RunState.RUNNING:
        return Check(None, Reason.INGESTING, "")
    return Check(None, Reason.NOT_INGESTED, facts.run_message)


def conditions(facts: TenantFacts) -> tuple[Condition, ...]:
    """All conditions of a tenant; `Ready` sums up."""
    served = served_check(facts.index, facts.run, facts.run_message, suspended=facts.suspended)
    index = index_check(facts.index)
    ingest = ingest_check(facts)
    before = (facts.spec, facts.pipeline, facts.database, facts.sources if served.ok is not True else GOOD)
    summary = facts.deleting or first_trouble((*before, served)) or served
    blocked = next((c for c in (*before, facts.sources, served, ingest) if c.blocked), None)
    moving = next((c for c in (*before, served, index) if c.ok is None), None) if not blocked else None
    g = facts.generation

    def say(kind: ConditionType, check: Check) -> Condition:
        return condition(kind, check.ok, check.reason, check.message, g)

    return (
        condition(ConditionType.READY, summary.ok is True, summary.reason, summary.message, g),
        say(ConditionType.PROGRESSING, moving or Check(False, Reason.AS_EXPECTED, ""))
        if moving is None
        else condition(ConditionType.PROGRESSING, True, moving.reason, moving.message, g),
        condition(
            ConditionType.DEGRADED,
            blocked is not None,
            blocked.reason if blocked else Reason.AS_EXPECTED,
            blocked.message if blocked else "",
            g,
        ),
        say(ConditionType.DATABASE_READY, facts.database),
        say(ConditionType.INDEX_CURRENT, index),
        say(ConditionType.INGEST_SUCCEEDED, ingest),
    )


MOVING_PERIOD = 5.0
"""Seconds: for what says of itself when it has moved, in case that was not heard."""
MENDING_PERIOD = 15.0
"""Seconds: for what a person mends where nothing tells of it."""


def next_look(facts: TenantFacts) -> float | None:
    """Seconds until the tenant is looked at though nothing has happened; None where something will tell.

    Something tells of a freed slot, of query pods that come, of a resource that a person changes. None of it may be
    asked for by thousands of tenants every few seconds.
    """
    if facts.sources.ok is not True:
        return MENDING_PERIOD
    if facts.run in (RunState.RUNNING, RunState.STUCK):
        return MOVING_PERIOD
    if facts.run in (RunState.FAILED, RunState.UNDONE):
        return MENDING_PERIOD
    served = served_check(facts.index, facts.run, facts.run_message, suspended=facts.suspended)
    if served.ok is True or facts.run is not RunState.DONE or served.reason is Reason.NO_PODS_READY:
        return None
    return MOVING_PERIOD


def run_request(config_digest: str, sync_request: str) -> str:
    """Names the run that the present state asks for: another configuration or another request is another run."""
    return f"{config_digest}/{sync_request}" if sync_request else config_digest
