"""Of what others put into an object of ours, only what the API server complains of becomes ours, and ours alone."""

from __future__ import annotations

from typing import Any

from rag_operator.kube.claim import claimed

FIELD = "spec.template.spec.containers[1].env[0].valueFrom"
OURS = {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
ENVIRONMENT = ("spec", "template", "spec", 'containers/k:{"name":"query"}', "env")


def _workload(*variables: dict[str, Any], **spec: Any) -> dict[str, Any]:
    containers = [{"name": "query", "env": list(variables)}]
    return {"apiVersion": "apps/v1", "spec": {"template": {"spec": {"containers": containers}}} | spec}


def _fields(*variables: str, inner: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {f'k:{{"name":"{name}"}}': inner for name in variables}
    for step in reversed("/".join(ENVIRONMENT).split("/")):
        found = {step if step.startswith("k:") else f"f:{step}": found}
    return found


def _entry(manager: str, operation: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "apps/v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }


def _live(*entries: dict[str, Any], **spec: Any) -> dict[str, Any]:
    found = _workload({"name": "A", "value": "x"}, {"name": "B", "value": "y"}, **spec)
    return found | {"metadata": {"managedFields": list(entries)}}


def test_it_is_taken_from_whoever_had_it_and_the_rest_stays_theirs() -> None:
    theirs = _entry("kubectl", "Update", _fields("A", "B", inner={"f:value": {}}))
    assert claimed(_live(theirs), _workload(OURS), [FIELD], "us") == [
        _entry("kubectl", "Update", _fields("B", inner={"f:value": {}})),
        _entry("us", "Apply", _fields("A", inner={"f:value": {}})),
    ]


def test_who_had_nothing_else_has_nothing_left() -> None:
    theirs = _entry("kubectl", "Update", _fields("A", inner={"f:value": {}}))
    own = _entry("us", "Apply", _fields("A", inner={"f:name": {}}))
    both = _entry("us", "Apply", _fields("A", inner={"f:name": {}, "f:value": {}}))
    assert claimed(_live(theirs, own), _workload(OURS), [FIELD], "us") == [both]
    assert claimed(_live(both), _workload(OURS), [FIELD], "us") is None, "ours already"


def test_nothing_is_claimed_where_nothing_of_another_s_is_complained_of() -> None:
    theirs = _entry("kubectl", "Update", _fields("A", "B", inner={"f:value": {}}))
    for field in (
        "spec.template.spec.containers[0].image",
        "spec.selector",
        "spec.replicas[0]",
        "metadata.uid",
        "<nil>",
    ):
        assert claimed(_live(theirs), _workload(OURS), [field], "us") is None, field
    assert claimed(_live(theirs), _workload(OURS), [], "us") is None


def test_replicas_of_an_autoscaler_stay_its_own_whatever_else_of_the_spec_is_refused() -> None:
    theirs = _entry("hpa", "Update", {"f:spec": {"f:replicas": {}}})
    live = _live(theirs, replicas=5, progressDeadlineSeconds=9)
    assert claimed(live, _workload(OURS, progressDeadlineSeconds=3), ["spec.progressDeadlineSeconds"], "us") is None
