"""DATA §3: an ingestion login may report anything, and what is no report is none."""

from __future__ import annotations

from typing import Any

import pytest

from rag_operator.api.tenant import BuildingRevision
from rag_operator.stores.summary import Figures, Outcome, Summary

STARTED = "2026-11-23T00:00:00Z"


def last(**said: Any) -> Summary:
    """Of a row whose last run reported this."""
    return Summary.model_validate({"lastIngestion": said, "deadLetters": 2})


def test_a_run_says_what_it_did_and_how_it_ended() -> None:
    summary = last(startedAt=STARTED, added=3, embedded=9, succeeded=False, message="full", config="abc")
    assert summary.last_ingestion is not None
    assert (summary.last_ingestion.started_at, summary.last_ingestion.added) == (STARTED, 3)
    assert summary.ended() == Outcome(succeeded=False, message="full", config="abc", started_at=STARTED)
    assert summary.dead_letters == 2


@pytest.mark.parametrize("report", ["text", 7, [], None, True], ids=str)
def test_what_is_no_object_is_no_report(report: Any) -> None:
    summary = Summary.model_validate({"lastIngestion": report, "building": report})
    assert (summary.last_ingestion, summary.building, summary.ended()) == (None, None, Outcome())


@pytest.mark.parametrize(
    "part",
    [
        {"added": "many"},
        {"added": 1e30},
        {"added": 2**53},
        {"added": -1},
        {"startedAt": "yesterday"},
        {"startedAt": "2026-13-01T00:00:00Z"},
        {"startedAt": "2026-W01-1T00:00:00Z"},
        {"finishedAt": "2026-11-23"},
    ],
    ids=str,
)
def test_what_a_status_does_not_take_is_no_report(part: dict[str, Any]) -> None:
    assert last(**part).last_ingestion is None


def test_one_part_that_is_none_takes_no_other_along() -> None:
    summary = Summary.model_validate({"lastIngestion": 7, "building": {"revision": 2, "percent": 40}})
    assert summary.building == BuildingRevision(revision=2, percent=40)


def test_figures_are_those_of_the_revision() -> None:
    summary = Summary.model_validate({"active": {"revision": 1, "chunks": 4}, "ready": {"revision": 2, "chunks": 9}})
    assert summary.figures(1).chunks == 4
    assert summary.figures(2).chunks == 9
    assert summary.figures(3) == Figures(revision=3)
