"""Row A12: the allow-list reads labels as Kubernetes does (apimachinery's labels.Selector)."""

from __future__ import annotations

from typing import Any

import pytest

from rag_operator.api.tenancy import TenantNamespaces
from rag_operator.decide.tenancy import allows

LABELS = {"kubernetes.io/metadata.name": "sales", "team": "search", "empty": ""}


def allowed(labels: dict[str, str], **namespaces: Any) -> bool:
    return allows(TenantNamespaces.model_validate(namespaces), labels)


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator} | ({"values": list(values)} if values else {})]}


def test_no_other_namespace_unless_said_and_every_one_where_all_is_said() -> None:
    assert not allowed(LABELS)
    assert not allowed(LABELS, **{"from": "Same"})
    assert allowed({}, **{"from": "All"})


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ({}, True),
        ({"matchLabels": {"team": "search"}}, True),
        ({"matchLabels": {"team": "search", "empty": "no"}}, False),
        ({"matchLabels": {"absent": ""}}, False),
        (expression("team", "In", "search", "other"), True),
        (expression("team", "In", "other"), False),
        (expression("absent", "In", ""), False),
        (expression("team", "NotIn", "search"), False),
        (expression("absent", "NotIn", "search"), True),
        (expression("empty", "Exists"), True),
        (expression("absent", "Exists"), False),
        (expression("empty", "DoesNotExist"), False),
        (expression("absent", "DoesNotExist"), True),
        ({"matchLabels": {"team": "search"}} | expression("empty", "DoesNotExist"), False),
    ],
)
def test_a_selector_chooses_as_kubernetes_does(selector: dict[str, Any], chosen: bool) -> None:
    assert allowed(LABELS, **{"from": "Selector", "selector": selector}) is chosen
