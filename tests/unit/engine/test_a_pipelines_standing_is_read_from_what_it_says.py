from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rag_operator.decide.pace import Standing
from rag_operator.engine.pace import standing
from tests.unit.build.samples import RELEASE

NEW = replace(RELEASE, version="0.2.0", runtime_image="runtime:0.2.0")
OLD = {"runtimeVersion": "0.1.0", "runtimeImage": "runtime:0.1.0"}
MOVED = {"runtimeVersion": "0.2.0", "runtimeImage": "runtime:0.2.0"}
MOVE = {"runtimeMove": {"previous": "0.1.0", "startedAt": "2026-11-21T12:00:00Z"}}


def of(status: dict[str, Any], spec: dict[str, Any] | None = None, **meta: Any) -> Standing:
    metadata = {"namespace": "rag", "name": "a"} | meta
    return standing({"metadata": metadata, "spec": spec or {}, "status": status}, NEW)


def ready(status: str, reason: str) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": status, "reason": reason}]}


def test_pods_of_another_release_wait() -> None:
    assert of(OLD | {"tenants": {"total": 7}} | ready("True", "Ready")) == Standing(
        "rag", "a", tenants=7, ready=True, waits=True
    )


def test_pods_that_an_operator_made_which_wrote_no_version_wait_too() -> None:
    assert of({"endpoint": "http://a.rag.svc:8080"}).waits


def test_who_has_no_pods_yet_or_has_the_release_waits_for_nothing() -> None:
    assert not of({}).waits
    assert not of(MOVED).waits


@pytest.mark.parametrize(
    ("spec", "meta"),
    [
        ({"query": {"image": "mine:1"}}, {}),
        ({"runtimeVersion": "0.1.1"}, {}),
        ({"paused": True}, {}),
        ({}, {"deletionTimestamp": "2026-11-21T12:00:00Z"}),
    ],
    ids=["its own image", "pinned anew", "paused", "deleted"],
)
def test_who_moves_at_once_or_not_at_all_is_in_nobodys_way(spec: dict[str, Any], meta: dict[str, Any]) -> None:
    assert not of(OLD, spec, **meta).waits


def test_an_invalid_one_is_in_nobodys_way() -> None:
    assert not of(OLD | ready("False", "InvalidSpec")).waits


def test_a_pinned_one_whose_mirror_moved_waits_like_the_others() -> None:
    assert not of({"runtimeVersion": "0.1.0", "runtimeImage": "runtime:0.1.0"}, {"runtimeVersion": "0.1.0"}).waits
    assert of({"runtimeVersion": "0.1.0", "runtimeImage": "old/runtime:0.1.0"}, {"runtimeVersion": "0.1.0"}).waits


def test_a_move_under_way_is_seen_until_a_pin_ends_it() -> None:
    assert of(MOVED | MOVE).moves
    assert not of(MOVED | MOVE, {"runtimeVersion": "0.1.0"}).moves


def test_what_keeps_a_move_from_its_end_is_named() -> None:
    failing = {"conditions": [{"type": "Degraded", "status": "True", "reason": "PodsFailing"}]}
    assert of(MOVED | MOVE | failing).trouble == "PodsFailing"
    assert of(MOVED | MOVE | ready("False", "DatabaseUnreachable")).trouble == "DatabaseUnreachable"
    assert of(MOVED | MOVE, {"paused": True}).trouble == "paused"
