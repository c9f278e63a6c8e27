"""How many query pods there are, and by what their number changes."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from rag_operator.api.common import ListMap, Model, Percent, unique_by
from rag_operator.api.formats import Duration
from rag_runtime.contract import metrics


class MetricType(StrEnum):
    """What scaling looks at."""

    CPU = "CPU"
    IN_FLIGHT = "InFlight"
    LATENCY_P95 = "LatencyP95"


FIGURES = {MetricType.IN_FLIGHT: metrics.IN_FLIGHT, MetricType.LATENCY_P95: metrics.REQUEST_SECONDS_P95}
"""Names under which the custom metrics API has a pod's figures."""


class ScalingMetric(Model):
    """One thing that scaling looks at. InFlight and LatencyP95 need KEDA and observability.prometheus, or an adapter
    that serves them by the custom metrics API; Degraded says so where neither is there."""

    type: MetricType
    """CPU: use of the requested CPU. InFlight: requests under way. LatencyP95: 95th percentile of a whole request."""
    average_utilization_percent: Percent | None = None
    """With CPU: pods are added above this average. Absent: 70."""
    average_value: Annotated[int, Field(ge=1, le=10000)] | None = None
    """With InFlight: requests that a pod has at the same time on average; pods are added above this."""
    threshold: Duration | None = None
    """With LatencyP95: pods are added above this."""


class Scaling(Model):
    """Number of query pods: replicas, or minReplicas and maxReplicas; neither means 2."""

    replicas: Annotated[int, Field(ge=1, le=500)] | None = None
    """A fixed number of pods."""
    min_replicas: Annotated[int, Field(ge=1, le=500)] | None = None
    """Pods at least, with an autoscaler."""
    max_replicas: Annotated[int, Field(ge=1, le=500)] | None = None
    """Pods at most, with an autoscaler."""
    metrics: (
        Annotated[tuple[ScalingMetric, ...], ListMap("type"), Field(min_length=1, max_length=4), unique_by("type")]
        | None
    ) = None
    """What to scale by, with minReplicas and maxReplicas. Absent: CPU at 70 percent."""
