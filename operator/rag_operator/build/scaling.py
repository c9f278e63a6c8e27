"""What scales the query pods: a HorizontalPodAutoscaler, or KEDA's ScaledObject."""

from collections.abc import Iterable

from rag_operator.api import names, resolve
from rag_operator.api.formats import Quantity
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.scaling import FIGURES, MetricType, ScalingMetric
from rag_operator.build import common
from rag_operator.build.common import Manifest
from rag_operator.build.monitors import series
from rag_runtime.contract import metrics

_WINDOW = "2m"
_POLL_SECONDS = 15


def query_hpa(pipeline: RagPipeline, by: Iterable[ScalingMetric]) -> Manifest:
    """The autoscaler of our own, by these metrics."""
    replicas = resolve.replicas(pipeline.spec.scaling)
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(pipeline),
        "spec": {
            "scaleTargetRef": _target(pipeline),
            "minReplicas": replicas.minimum,
            "maxReplicas": replicas.maximum,
            "metrics": [_metric(metric) for metric in by],
        },
    }


def scaled_object(pipeline: RagPipeline, by: Iterable[ScalingMetric], prometheus: str) -> Manifest:
    """KEDA's, by these metrics; `prometheus` is an address. KEDA makes an autoscaler of its own from it."""
    replicas = resolve.replicas(pipeline.spec.scaling)
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": _metadata(pipeline),
        "spec": {
            "scaleTargetRef": _target(pipeline),
            "minReplicaCount": replicas.minimum,
            "maxReplicaCount": replicas.maximum,
            "pollingInterval": _POLL_SECONDS,
            "triggers": [_trigger(pipeline, metric, prometheus) for metric in by],
        },
    }


def _metadata(pipeline: RagPipeline) -> Manifest:
    return common.pipeline_metadata(pipeline, names.query(common.name_of(pipeline)), names.COMPONENT_QUERY)


def _target(pipeline: RagPipeline) -> Manifest:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": names.query(common.name_of(pipeline))}


def _seconds(metric: ScalingMetric) -> float:
    assert metric.threshold is not None, "by the rules"
    return metric.threshold.seconds


def _metric(metric: ScalingMetric) -> Manifest:
    if metric.type is MetricType.CPU:
        target: Manifest = {"type": "Utilization", "averageUtilization": metric.average_utilization_percent}
        return {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    if metric.type is MetricType.IN_FLIGHT:
        value = str(metric.average_value)
    else:
        value = common.canonical(Quantity(f"{round(_seconds(metric) * 1000)}m"))
    target = {"type": "AverageValue", "averageValue": value}
    return {"type": "Pods", "pods": {"metric": {"name": FIGURES[metric.type]}, "target": target}}


def _trigger(pipeline: RagPipeline, metric: ScalingMetric, address: str) -> Manifest:
    if metric.type is MetricType.CPU:
        return {
            "type": "cpu",
            "metricType": "Utilization",
            "metadata": {"value": str(metric.average_utilization_percent)},
        }
    if metric.type is MetricType.IN_FLIGHT:
        query, threshold, kind = in_flight(pipeline), str(metric.average_value), "AverageValue"
    else:
        query, threshold, kind = latency(pipeline), f"{_seconds(metric):g}", "Value"
    metadata = {"serverAddress": address, "query": query, "threshold": threshold}
    return {"type": "prometheus", "metricType": kind, "metadata": metadata}


def in_flight(pipeline: RagPipeline) -> str:
    """Requests under way on all pods: KEDA divides them by their number."""
    return f"sum({series(pipeline, metrics.IN_FLIGHT)})"


def latency(pipeline: RagPipeline) -> str:
    """The 95th percentile of whole requests, in seconds; 0 where nobody asks, since NaN would stop scaling down."""
    rate = f"rate({series(pipeline, f'{metrics.REQUEST_SECONDS}_bucket')}[{_WINDOW}])"
    return f"histogram_quantile(0.95, sum by (le) ({rate})) >= 0 or vector(0)"
