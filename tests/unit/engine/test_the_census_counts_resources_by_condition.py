"""What `rag_operator_resources` shows: bounded labels, nothing of what is gone."""

from __future__ import annotations

from typing import Any

from rag_operator.engine.census import Census, Statement
from rag_operator.engine.queue import Key

A = Key("tenant", "rag", "a")
B = Key("tenant", "rag", "b")


def _saying(*conditions: tuple[str, str, str]) -> dict[str, Any]:
    said = [{"type": kind, "status": status, "reason": reason} for kind, status, reason in conditions]
    return {"status": {"conditions": said}}


def test_equal_statements_are_counted_together_and_what_is_gone_no_more() -> None:
    census = Census()
    census.take_in(A, _saying(("Ready", "True", "Ready"), ("Degraded", "False", "AsExpected")))
    census.take_in(B, _saying(("Ready", "True", "Ready")))
    ready = ("tenant", Statement("Ready", "True", "Ready"))
    assert census.counts()[ready] == 2
    census.take_in(B, _saying(("Ready", "False", "Ingesting")))
    assert census.counts()[ready] == 1
    census.forget(A)
    assert dict(census.counts()) == {("tenant", Statement("Ready", "False", "Ingesting")): 1}


def test_words_that_this_release_does_not_know_add_no_series() -> None:
    census = Census()
    census.take_in(A, _saying(("example.com/Mine", "True", "x"), ("Ready", "Maybe", "Ready")))
    census.take_in(B, _saying(("Ready", "False", "SomethingNew")) | {"spec": {}})
    census.take_in(Key("pipeline", "rag", "p"), {})
    assert dict(census.counts()) == {("tenant", Statement("Ready", "False", "Other")): 1}


def test_equal_states_of_many_resources_are_one_object() -> None:
    census = Census()
    for number in range(100):
        census.take_in(Key("tenant", "rag", str(number)), _saying(("Ready", "True", "Ready")))
    assert len({id(state) for state in census._of.values()}) == 1
