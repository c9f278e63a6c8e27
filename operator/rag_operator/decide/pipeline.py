"""What a pipeline's conditions are, given what was observed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from rag_operator.api.conditions import Condition, ConditionType, Reason, condition, newest_change
from rag_operator.decide.checks import GOOD, RECONCILING, Check, first_trouble

MOVING_PERIOD, STANDING_PERIOD = 2.0, 30.0
"""Seconds between looks at a pipeline that is on its way: while it moves, and once it has stood for five minutes."""


@dataclass(frozen=True, slots=True)
class QueryFacts:
    """The query Deployment and its pods' leases. `observed` is whether its controller has seen the newest spec."""

    desired: int
    ready: int
    updated: int
    total: int
    observed: bool
    live_leases: int
    trouble: str = ""

    @property
    def complete(self) -> bool:
        """Whether every pod runs the newest spec, and no other does."""
        return self.updated >= self.desired and self.total <= self.updated and self.ready >= self.desired


@dataclass(frozen=True, slots=True)
class PipelineFacts:
    """All that a pipeline's conditions depend on."""

    generation: int
    spec: Check = GOOD
    database: Check = RECONCILING
    cache: Check = RECONCILING
    models: Check = GOOD
    query: QueryFacts | None = None
    runtime: Check | None = None
    """Whether pods run the version that the spec asks for; None where that was not looked at."""
    extras: tuple[Check, ...] = ()
    """Of what answers do without: such trouble degrades a pipeline that is ready all the same."""
    paused: bool = False
    deleting: Check | None = None


def query_check(query: QueryFacts | None) -> Check:
    """Whether pods answer: one ready with a fresh lease is enough to be available."""
    if query is None:
        return Check(None, Reason.WAITING, "the query Deployment waits for the database")
    if query.ready == 0 and query.trouble:
        return Check(False, Reason.PODS_FAILING, query.trouble)
    if query.ready == 0:
        return Check(None, Reason.STARTING, f"0 of {query.desired} query pods are ready")
    if query.live_leases == 0:
        return Check(None, Reason.STARTING, "query pods are ready, none has a fresh lease on the catalog yet")
    return Check(True, Reason.AS_EXPECTED, f"{query.ready} of {query.desired} query pods are ready")


def rollout_check(query: QueryFacts | None) -> Check:
    """Whether the newest spec runs on every pod."""
    if query is None or not query.observed:
        return Check(None, Reason.RECONCILING, "the query Deployment has not seen the newest spec yet")
    if not query.complete and query.trouble:
        return Check(False, Reason.PODS_FAILING, query.trouble)
    if not query.complete:
        return Check(None, Reason.ROLLING_OUT, f"{query.updated} of {query.desired} query pods run the newest spec")
    return GOOD


def parts(facts: PipelineFacts) -> tuple[Check, ...]:
    """What a pipeline needs to be ready."""
    return facts.spec, facts.database, facts.cache, facts.models, query_check(facts.query)


def stopped(facts: PipelineFacts) -> bool:
    """Whether it gets no further until something is mended."""
    return any(check.blocked for check in (*parts(facts), rollout_check(facts.query)))


def extras_move(facts: PipelineFacts) -> bool:
    """Whether something that answers do without may be as it should any moment, and nothing will tell of it."""
    return any(extra.ok is None or extra.reason is Reason.RECONCILE_FAILED for extra in facts.extras)


def starting_period(said: Iterable[Condition], now: datetime) -> float:
    """Seconds to the next look at what is on its way: often while it moves, rarely where it has stood still for long.

    Pods that don't start and leases that come late are told by nothing.
    """
    since = newest_change(said)
    still = (now - since).total_seconds() if since else 0.0
    return min(max(still / 10, MOVING_PERIOD), STANDING_PERIOD)


def conditions(facts: PipelineFacts) -> tuple[Condition, ...]:
    """All conditions of a pipeline; `Ready` sums up for people and Argo CD."""
    query = query_check(facts.query)
    rollout = rollout_check(facts.query)
    needed = parts(facts)
    trouble = facts.deleting or first_trouble(needed)
    blocked = next((c for c in (*needed, rollout, *facts.extras) if c.blocked), None)
    summary = trouble or Check(True, Reason.READY, query.message)
    g = facts.generation

    def say(kind: ConditionType, check: Check) -> Condition:
        return condition(kind, check.ok, check.reason, check.message, g)

    ready = Check(summary.ok is True, summary.reason, summary.message)
    moving = facts.deleting is None and (rollout.ok is None or any(c.ok is None for c in needed)) and not stopped(facts)
    progress = rollout if rollout.ok is None else first_trouble(needed)
    return (
        say(ConditionType.READY, ready),
        say(ConditionType.AVAILABLE, Check(query.ok is True, query.reason, query.message)),
        condition(
            ConditionType.PROGRESSING,
            moving,
            progress.reason if moving and progress else Reason.AS_EXPECTED,
            progress.message if moving and progress else "",
            g,
        ),
        condition(
            ConditionType.DEGRADED,
            blocked is not None,
            blocked.reason if blocked else Reason.AS_EXPECTED,
            blocked.message if blocked else "",
            g,
        ),
        say(ConditionType.DATABASE_READY, facts.database),
        say(ConditionType.CACHE_READY, facts.cache),
        say(ConditionType.QUERY_READY, query),
        *([say(ConditionType.RUNTIME_CURRENT, facts.runtime)] if facts.runtime else []),
        _paused(facts.paused, g),
    )


def _paused(paused: bool, generation: int) -> Condition:
    reason = Reason.PAUSED if paused else Reason.NOT_PAUSED
    message = "spec.paused is true: reconcile stops, serving goes on" if paused else ""
    return condition(ConditionType.PAUSED, paused, reason, message, generation)
