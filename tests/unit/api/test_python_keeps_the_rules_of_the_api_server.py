from __future__ import annotations

import pytest

from rag_operator.api.common import Checked, Invariant
from rag_operator.api.errors import InvalidSpec
from rag_operator.api.parse import parse_pipeline, parse_tenant
from rag_operator.api.pod import WorkloadPod
from rag_operator.api.rules import RULES, TENANT_TRANSITIONS, Rule, select
from tests.unit.api.examples import TAKEN, Example, pipeline
from tests.unit.api.pods import REFUSED_PODS, TAKEN_PODS
from tests.unit.api.refused import REFUSED

INVARIANTS = list(dict.fromkeys(one for model in Checked.__subclasses__() for one in model.invariants))
INVARIANTS += WorkloadPod.invariants


def parse(example: Example) -> object:
    reader = parse_pipeline if example.kind == "RagPipeline" else parse_tenant
    return reader(example.resource())


@pytest.mark.parametrize("example", TAKEN + TAKEN_PODS, ids=lambda e: e.about)
def test_a_right_resource_is_taken(example: Example) -> None:
    parse(example)


@pytest.mark.parametrize("example", REFUSED + REFUSED_PODS, ids=lambda e: e.about)
def test_a_wrong_resource_is_refused_where_it_is_wrong(example: Example) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse(example)
    found = [problem for problem in caught.value.problems if example.says in problem.message]
    (path,) = (problem.path for problem in found)
    assert path == example.path or (path.startswith(f"{example.path}.") and path.endswith(".[key]"))


@pytest.mark.parametrize("rule", [r for rules in RULES.values() for r in rules], ids=lambda r: f"{r.at} {r.message}")
def test_every_rule_has_an_example_that_breaks_it_and_one_that_keeps_it(rule: Rule) -> None:
    assert any(example.says and example.says in rule.message for example in REFUSED)
    kept = [v for e in TAKEN if rule in RULES[e.kind] for _, v in select(parse(e), rule.at)]
    assert kept
    assert all(rule.holds(value) for value in kept)


@pytest.mark.parametrize("invariant", INVARIANTS, ids=lambda one: one.message)
def test_every_invariant_has_an_example_that_breaks_it(invariant: Invariant) -> None:
    assert any(example.says and example.says in invariant.message for example in (*REFUSED, *REFUSED_PODS))


def test_all_problems_are_named_at_once() -> None:
    example = pipeline("", {"chunking": {"size": 300}, "scaling": {"maxReplicas": 1}})
    with pytest.raises(InvalidSpec, match=r"spec\.chunking\.size: .*; spec\.scaling: "):
        parse(example)


def test_a_broken_status_does_not_stop_reconcile() -> None:
    resource = pipeline("", {}).resource() | {"status": {"conditions": "none"}}
    assert parse_pipeline(resource).status.conditions == ()


def test_a_status_of_a_newer_operator_is_read() -> None:
    resource = pipeline("", {}).resource() | {"status": {"promotion": {}, "tenants": {"total": 2, "summary": "1/2"}}}
    assert parse_pipeline(resource).status.to_dict()["tenants"]["summary"] == "0/2"


def test_a_pipeline_reference_stays() -> None:
    (rule,) = TENANT_TRANSITIONS
    assert rule.holds({"name": "a"}, {"name": "a"})
    assert not rule.holds({"name": "a"}, {"name": "b"})
