"""PromQL as tests read it: which series an expression asks for, and which series our processes really have."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import promql_parser as promql
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from rag_operator.api.conditions import ConditionStatus, ConditionType, Reason
from rag_operator.engine import figures, metrics
from rag_operator.kube import metrics as kube_metrics
from rag_operator.stores import metrics as stores_metrics
from rag_runtime.answer import errors, path
from rag_runtime.answer.telemetry import Telemetry

_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
GIVEN_BY_PROMETHEUS = {"namespace", "service", "pipeline"}
"""Labels of the target: the Prometheus operator adds the first two, our ServiceMonitor the third."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Series that an expression selects: the name, and by label what it may be (`a|b` of a regular expression)."""

    name: str
    labels: Mapping[str, frozenset[str]]


def asked(expression: str) -> list[Asked]:
    """What an expression selects. Raises ValueError where it is no PromQL."""
    found: list[Asked] = []

    def visit(part: promql.Expr) -> None:
        selector = part.vector_selector if isinstance(part, promql.MatrixSelector) else part
        if isinstance(selector, promql.VectorSelector):
            labels = {m.name: frozenset(m.value.split("|")) for m in selector.matchers.matchers}
            found.append(Asked(selector.name or "", labels))

    promql.walk(promql.parse(expression), visit)
    return found


def exported() -> dict[str, frozenset[str]]:
    """Every series' name that operator and query pods export, with its labels."""
    return dict(_of_the_operator()) | dict(_of_the_runtime())


def known_values() -> dict[str, frozenset[str]]:
    """By label, the values that our code gives it; of the labels that expressions compare."""
    serve = inspect.getsource(path)
    outcomes = {errors.RequestError.kind, errors.UnavailableError.kind, errors.NoIndexError.kind}
    return {
        "stage": frozenset(re.findall(r'Stage\("(\w+)"', serve)),
        "outcome": frozenset(outcomes | {"ok", "waiting", "retry", "refused", "timeout", "error"}),
        "cache": frozenset(re.findall(r'\.lookup\("(\w+)"', serve)),
        "result": frozenset({"hit", "miss", "skipped"}),
        "kind": frozenset({"pipeline", "tenant"}),
        "cause": frozenset({"event", "resync"}),
        "breaker": frozenset({"closed", "half-open", "open"}),
        "condition": frozenset(map(str, ConditionType)),
        "status": frozenset(map(str, ConditionStatus)),
        "reason": frozenset(map(str, Reason)),
    }


def _of_the_runtime() -> Iterator[tuple[str, frozenset[str]]]:
    telemetry = Telemetry()
    for collector in telemetry.registry._collector_to_names:
        labels = frozenset(getattr(collector, "_labelnames", ()))
        yield from _names(collector.collect(), labels)


def _of_the_operator() -> Iterator[tuple[str, frozenset[str]]]:
    for module in (metrics, kube_metrics, stores_metrics):
        for collector in vars(module).values():
            if isinstance(collector, MetricWrapperBase):
                yield from _names(collector.collect(), frozenset(getattr(collector, "_labelnames", ())))
    for name, labels in re.findall(r'_family\(\s*"(\w+)", "[^"]*"((?:, "\w+")*)', inspect.getsource(figures)):
        yield name, frozenset(re.findall(r'"(\w+)"', labels))
    yield "rag_operator_watch_age_seconds", frozenset({"kind"})


def _names(families: Iterable[Metric], labels: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for family in families:
        for suffix in _SUFFIXES[family.type]:
            yield f"{family.name}{suffix}", labels | ({"le"} if suffix == "_bucket" else set())
