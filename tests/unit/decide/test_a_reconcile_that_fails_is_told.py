"""A5: what the queue, the metrics, the log and the resource are told of a reconcile that failed."""

from __future__ import annotations

import logging

import pytest

from rag_operator.api.conditions import ConditionType, Reason, condition
from rag_operator.api.errors import PermanentError, TransientError
from rag_operator.decide.failing import conditions, failure_of, recovered
from rag_operator.kube.errors import ApiUnavailableError, ConflictError, RefusedError
from rag_operator.stores.errors import StoreTrouble

WHY = 'the API server answered 500: failed calling webhook "sidecars.example"'


@pytest.mark.parametrize(
    ("error", "outcome", "reason", "why"),
    [
        (ApiUnavailableError("the API server answered 503: busy"), "retry", "ApiUnavailable", "answered 503: busy"),
        (ConflictError("it was changed"), "retry", "Conflict", "it was changed"),
        (StoreTrouble("no answer", Reason.DATABASE_UNREACHABLE), "retry", "DatabaseUnreachable", "no answer"),
        (TransientError("later"), "retry", "Transient", "later"),
        (RefusedError("not allowed"), "refused", "Refused", "not allowed"),
        (PermanentError("never"), "refused", "Permanent", "never"),
        (TimeoutError(), "timeout", "Timeout", "longer than 120 s"),
        (KeyError("spec"), "error", "Unexpected", "KeyError"),
    ],
)
def test_each_error_has_its_words(error: Exception, outcome: str, reason: str, why: str) -> None:
    failure = failure_of(error, 120.0)
    assert (failure.outcome, failure.reason) == (outcome, reason)
    assert why in failure.why


def test_who_says_how_long_to_wait_is_heard() -> None:
    assert failure_of(ApiUnavailableError("busy", 7.0), 120.0).retry_after == 7.0


def test_the_text_of_an_error_that_nobody_expected_is_not_shown() -> None:
    failure = failure_of(ValueError("password=hunter2"), 120.0)
    assert "hunter2" not in failure.why
    assert failure.level == logging.ERROR


def test_what_answers_goes_on_to_and_is_degraded() -> None:
    ready = condition(ConditionType.READY, True, Reason.READY, "answers")
    (said,) = conditions([ready], WHY)
    assert (said.type, said.status, said.reason) == ("Degraded", "True", "ReconcileFailed")
    assert WHY in said.message


@pytest.mark.parametrize("before", [[], [condition(ConditionType.READY, None, Reason.STARTING, "on its way", 1)]])
def test_what_does_not_answer_says_why_at_ready(before: list[object]) -> None:
    ready, degraded = conditions(before, WHY)  # type: ignore[arg-type]
    assert (ready.type, ready.status, ready.reason) == ("Ready", "False", "ReconcileFailed")
    assert ready.message == degraded.message


def test_what_was_told_does_not_outlive_the_failures() -> None:
    paused = condition(ConditionType.PAUSED, True, Reason.PAUSED, "")
    after = recovered([*conditions([], WHY), paused])
    assert {(c.type, c.status, c.reason) for c in after} == {
        ("Ready", "False", "Reconciling"),
        ("Degraded", "False", "Reconciling"),
    }
    assert recovered([paused]) == ()
