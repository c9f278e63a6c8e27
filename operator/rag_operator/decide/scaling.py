"""Who scales the query pods: nobody, a HorizontalPodAutoscaler of ours, or KEDA; never two of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rag_operator.api.conditions import Reason
from rag_operator.api.resolve import Replicas
from rag_operator.api.scaling import FIGURES, MetricType, ScalingMetric
from rag_operator.decide.checks import GOOD, Check


class Scaler(StrEnum):
    """Who owns the number of pods."""

    FIXED = "Fixed"
    """The spec."""
    HPA = "HPA"
    KEDA = "KEDA"
    NOBODY = "Nobody"
    """What the spec asks for can't be had: at least minReplicas, and no fewer than there are."""
    AS_IT_IS = "AsItIs"
    """Not known what the cluster has: nothing is made and nothing taken away."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What is there to scale by; None: not known. `figures` are pods' metrics of the custom metrics API."""

    keda: bool | None
    figures: frozenset[str] | None
    prometheus: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Who scales, and by what."""

    scaler: Scaler
    metrics: tuple[ScalingMetric, ...] = ()
    check: Check = GOOD


def plan(replicas: Replicas, cluster: Cluster) -> Plan:
    """KEDA where it is and knows a Prometheus, else the custom metrics API where it has the figures, else CPU alone."""
    if not replicas.autoscaled:
        return Plan(Scaler.FIXED)
    asked = replicas.metrics
    special = [metric.type for metric in asked if metric.type in FIGURES]
    if not special:
        return Plan(Scaler.HPA, asked)
    if cluster.keda and cluster.prometheus:
        return Plan(Scaler.KEDA, asked)
    missing = [kind for kind in special if FIGURES[kind] not in (cluster.figures or ())]
    if not missing:
        return Plan(Scaler.HPA, asked)
    if cluster.keda is None or cluster.figures is None:
        message = f"{_names(missing)}: the cluster does not say what it has to scale by; it is asked again"
        return Plan(Scaler.AS_IT_IS, check=Check(False, Reason.SCALING_UNAVAILABLE, message))
    rest = tuple(metric for metric in asked if metric.type not in FIGURES)
    check = Check(False, Reason.SCALING_UNAVAILABLE, _mend(missing, replicas, cluster, rest))
    return Plan(Scaler.HPA if rest else Scaler.NOBODY, rest, check)


def _names(missing: list[MetricType]) -> str:
    return f"spec.scaling.metrics {' and '.join(missing)}"


def _mend(missing: list[MetricType], replicas: Replicas, cluster: Cluster, rest: tuple[ScalingMetric, ...]) -> str:
    figures = " and ".join(f"pods/{FIGURES[kind]}" for kind in missing)
    keda = "give KEDA the address of Prometheus in spec.observability.prometheus" if cluster.keda else "install KEDA"
    until = "only CPU counts" if rest else f"no pods are added to what there are, at least {replicas.minimum}"
    return f"{_names(missing)}: {keda}, or serve {figures} by the custom metrics API; until then {until}"
