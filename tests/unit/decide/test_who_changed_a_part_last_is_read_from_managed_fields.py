"""A14: whose hand it was, as far as `managedFields` can tell."""

from __future__ import annotations

from typing import Any

from rag_operator.decide.authorship import Change, last_change

ADOPT = "rag-operator.dev/adopt-retained"


def _entry(manager: str, at: str, fields: dict[str, Any], operation: str = "Update") -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "time": at, "fieldsV1": fields}


def _live(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"managedFields": list(entries)}}


SIZE: dict[str, Any] = {"f:spec": {"f:chunking": {"f:size": {}}}}
PROMPT: dict[str, Any] = {"f:spec": {"f:llm": {"f:systemPrompt": {}}}}


def test_the_newest_hand_on_the_part_counts_and_hands_on_other_parts_do_not() -> None:
    live = _live(
        _entry("helm", "2026-11-01T00:00:00Z", SIZE),
        _entry("argocd-controller", "2026-11-02T00:00:00Z", SIZE, "Apply"),
        _entry("kubectl-edit", "2026-11-03T00:00:00Z", PROMPT),
    )
    assert last_change(live, ("spec", "chunking")) == Change("argocd-controller", "Apply", "2026-11-02T00:00:00Z")
    assert last_change(live, ("spec", "index"), ("spec", "llm")) == Change(
        "kubectl-edit", "Update", "2026-11-03T00:00:00Z"
    )


def test_an_annotation_is_found_by_its_whole_name() -> None:
    live = _live(
        _entry("kubectl-annotate", "2026-11-01T00:00:00Z", {"f:metadata": {"f:annotations": {f"f:{ADOPT}": {}}}})
    )
    change = last_change(live, ("metadata", "annotations", ADOPT))
    assert change is not None and change.manager == "kubectl-annotate"


def test_our_own_hand_is_nobody_s_decision_and_nothing_known_is_none() -> None:
    live = _live(_entry("rag-operator-status", "2026-11-01T00:00:00Z", SIZE))
    assert last_change(live, ("spec", "chunking")) is None
    assert last_change({"metadata": {}}, ("spec",)) is None
