"""A6: every rule of examples/argocd's health decides for some state, so that none can go unnoticed."""

from __future__ import annotations

import re
from typing import Any

import lupa.lua51
import pytest

from tests.support.argocd import health, script_of

RULE = re.compile(r"^if .*? then\n.*?^end\n", re.MULTILINE | re.DOTALL)
OLD = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "1"}]}


def _state(ready: str, reason: str, **others: str) -> dict[str, Any]:
    """A status whose newest generation was seen: Ready, and conditions by type."""
    said = [{"type": "Ready", "status": ready, "reason": reason, "message": reason}]
    said += [{"type": kind, "status": status, "reason": kind, "message": kind} for kind, status in others.items()]
    return {"observedGeneration": 2, "conditions": said}


STATES: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, str]]] = {
    "deleted": (
        {"deletionTimestamp": "2026-11-22T12:00:00Z"},
        _state("False", "Deleting", Degraded="True"),
        ("Progressing", "Deleting"),
    ),
    "deleted before anybody looked": (
        {"deletionTimestamp": "2026-11-22T12:00:00Z"},
        {},
        ("Progressing", "is being deleted"),
    ),
    "paused": ({}, _state("True", "Ready", Paused="True"), ("Suspended", "Paused")),
    "not paused": ({}, _state("True", "Ready", Paused="False", Degraded="False"), ("Healthy", "Ready")),
    "new": ({}, {}, ("Progressing", "the operator has not seen the newest spec yet")),
    "changed": ({}, OLD, ("Progressing", "the operator has not seen the newest spec yet")),
    "suspended": ({}, _state("False", "Suspended", Degraded="True"), ("Suspended", "Suspended")),
    "degraded, and answers": ({}, _state("True", "Ready", Degraded="True"), ("Degraded", "Degraded")),
    "on its way": ({}, _state("False", "Starting", Degraded="False"), ("Progressing", "Starting")),
}


def _shown(script: str, name: str) -> tuple[str, str]:
    meta, status, _ = STATES[name]
    return health({"metadata": {"generation": 2} | meta, "status": status}, script)


@pytest.mark.parametrize("name", STATES)
def test_a_state_has_its_health(name: str) -> None:
    assert _shown(script_of("RagTenant"), name) == STATES[name][2]


def test_without_any_one_rule_some_state_has_another() -> None:
    rules = RULE.findall(script_of("RagTenant"))
    assert len(rules) == 6
    for rule in rules:
        less = script_of("RagTenant").replace(rule, "", 1)
        assert [name for name in STATES if _judged(less, name) != STATES[name][2]], rule


def _judged(script: str, name: str) -> tuple[str, str]:
    try:
        return _shown(script, name)
    except lupa.lua51.LuaError as error:  # without its guard a script may fail
        return "fails", str(error)
