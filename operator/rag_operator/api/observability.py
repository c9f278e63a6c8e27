"""What of a pipeline is seen by monitoring."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from rag_operator.api.common import Model
from rag_operator.api.formats import LabelKey, LabelValue, WebAddress

MonitorLabels = Annotated[Mapping[LabelKey, LabelValue], Field(max_length=16)]


class ServiceMonitoring(Model):
    """A ServiceMonitor for the query pods, where the cluster has the Prometheus operator."""

    enabled: bool = True
    """Whether it is made. Where a NetworkPolicy guards the query pods, allow Prometheus in access.networkPolicy."""
    labels: MonitorLabels = Field(default_factory=dict)
    """Labels by which your Prometheus chooses what it scrapes, for instance release: kube-prometheus-stack."""


class Alerting(Model):
    """A PrometheusRule for the query pods' figures, where the cluster has the Prometheus operator."""

    enabled: bool = True
    """Whether it is made. The alerts read what the ServiceMonitor brings in."""
    labels: MonitorLabels = Field(default_factory=dict)
    """Labels by which your Prometheus chooses its rules, for instance release: kube-prometheus-stack."""


class PrometheusServer(Model):
    """A Prometheus."""

    address: WebAddress
    """Where its HTTP API answers, for instance http://prometheus-operated.monitoring:9090."""


class Observability(Model):
    """What of a pipeline is seen by monitoring."""

    prometheus: PrometheusServer | None = None
    """The Prometheus that has this pipeline's figures, with the labels that its ServiceMonitor gives them. KEDA asks it
    where scaling.metrics has InFlight or LatencyP95."""
    service_monitor: ServiceMonitoring = ServiceMonitoring()
    """A ServiceMonitor for the query pods, where the cluster has the Prometheus operator."""
    alerts: Alerting = Alerting()
    """A PrometheusRule for the query pods' figures, where the cluster has the Prometheus operator."""
