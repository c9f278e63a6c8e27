"""What the Prometheus operator reads: who is scraped, and when somebody is to be told.

Every series of a pipeline has the labels `namespace`, which the Prometheus operator adds, and `pipeline`, which the
ServiceMonitor does. Thresholds are those of FEATURES H2, and only of what query pods export: failed ingestion and stale
indexes are told by the operator's own figures, see the chart's PrometheusRule.
"""

from collections.abc import Mapping

from rag_operator.api import names
from rag_operator.api.formats import LabelKey, LabelValue
from rag_operator.api.pipeline import RagPipeline, RetrievalMode
from rag_operator.build import common
from rag_operator.build.common import Manifest
from rag_runtime.contract import metrics

API_VERSION = "monitoring.coreos.com/v1"
LABEL = "pipeline"
_WINDOW = "30m"
_ENOUGH = 50
"""Requests within the window before a share of them says anything."""


def service_monitor(pipeline: RagPipeline) -> Manifest | None:
    """Scrapes every query pod, where the spec wants it."""
    wanted = pipeline.spec.observability.service_monitor
    if not wanted.enabled:
        return None
    name = common.name_of(pipeline)
    return {
        "apiVersion": API_VERSION,
        "kind": "ServiceMonitor",
        "metadata": _metadata(pipeline, wanted.labels),
        "spec": {
            "selector": {"matchLabels": names.pipeline_selector(name, names.COMPONENT_QUERY)},
            "endpoints": [
                {
                    "port": "http",
                    "path": "/metrics",
                    "relabelings": [{"action": "replace", "targetLabel": LABEL, "replacement": name}],
                }
            ],
        },
    }


def prometheus_rule(pipeline: RagPipeline) -> Manifest | None:
    """Alerts on the query pods' figures, where the spec wants them."""
    wanted = pipeline.spec.observability.alerts
    if not wanted.enabled:
        return None
    rules = [_errors(pipeline), _slow(pipeline), _empty(pipeline)]
    if pipeline.spec.retrieval.mode is not RetrievalMode.LEXICAL:
        rules.append(_dissimilar(pipeline))
    if pipeline.spec.cache.exact.enabled:
        rules.append(_cache(pipeline))
    return {
        "apiVersion": API_VERSION,
        "kind": "PrometheusRule",
        "metadata": _metadata(pipeline, wanted.labels),
        "spec": {"groups": [{"name": f"rag-pipeline.{common.name_of(pipeline)}", "rules": rules}]},
    }


def series(pipeline: RagPipeline, metric: str, *matchers: str) -> str:
    """The pipeline's series of a metric, with further matchers such as `stage="retrieve"`."""
    chosen = (f'namespace="{pipeline.metadata.namespace}"', f'{LABEL}="{common.name_of(pipeline)}"', *matchers)
    return f"{metric}{{{','.join(chosen)}}}"


def _metadata(pipeline: RagPipeline, more: Mapping[LabelKey, LabelValue]) -> Manifest:
    metadata = common.pipeline_metadata(pipeline, names.query(common.name_of(pipeline)), names.COMPONENT_QUERY)
    return metadata | {"labels": {str(key): str(value) for key, value in more.items()} | metadata["labels"]}


def _grown(pipeline: RagPipeline, metric: str, *matchers: str) -> str:
    return f"sum(increase({series(pipeline, metric, *matchers)}[{_WINDOW}]))"


def _or_none(expression: str) -> str:
    """0 where there is no series: one begins with the first thing that it counts."""
    return f"({expression} or vector(0))"


def _alert(pipeline: RagPipeline, name: str, expression: str, minutes: int, said: tuple[str, str, str]) -> Manifest:
    severity, summary, mend = said
    place = f"{pipeline.metadata.namespace}/{common.name_of(pipeline)}"
    return {
        "alert": name,
        "expr": expression,
        "for": f"{minutes}m",
        "labels": {
            "severity": severity,
            "namespace": pipeline.metadata.namespace,
            LABEL: common.name_of(pipeline),
        },
        "annotations": {"summary": f"RagPipeline {place}: {summary}", "description": mend},
    }


def _errors(pipeline: RagPipeline) -> Manifest:
    requests = f"{metrics.REQUESTS}_total"
    failed = _or_none(_grown(pipeline, requests, 'outcome=~"internal|unavailable"'))
    every = _grown(pipeline, requests)
    said = (
        "critical",
        "more than 1 % of requests fail",
        "See the pipeline's conditions and rag_breaker_state of its query pods: a store or a model does not answer.",
    )
    return _alert(pipeline, "RagRequestsFail", f"{failed} / {every} > 0.01 and {every} > {_ENOUGH}", 5, said)


def _slow(pipeline: RagPipeline) -> Manifest:
    bucket = series(pipeline, f"{metrics.STAGE_SECONDS}_bucket", 'stage="retrieve"')
    expression = f"histogram_quantile(0.95, sum by (le) (rate({bucket}[{_WINDOW}]))) > 0.5"
    said = (
        "warning",
        "the 95th percentile of retrieval is above 500 ms",
        "See the database's load and memory, spec.index and spec.retrieval.candidates.",
    )
    return _alert(pipeline, "RagRetrievalSlow", expression, 15, said)


def _empty(pipeline: RagPipeline) -> Manifest:
    nothing = _or_none(_grown(pipeline, f"{metrics.EMPTY_RETRIEVALS}_total"))
    every = f"({nothing} + {_or_none(_grown(pipeline, f'{metrics.TOP_SIMILARITY}_count'))})"
    said = (
        "warning",
        "more than 10 % of retrievals find nothing relevant",
        "See whether sources are ingested (the tenants' conditions) and whether spec.retrieval.minScore suits the "
        "embedding model.",
    )
    return _alert(pipeline, "RagRetrievalsEmpty", f"{nothing} / {every} > 0.1 and {every} > {_ENOUGH}", 15, said)


def _dissimilar(pipeline: RagPipeline) -> Manifest:
    count = _grown(pipeline, f"{metrics.TOP_SIMILARITY}_count")
    average = f"{_grown(pipeline, f'{metrics.TOP_SIMILARITY}_sum')} / {count}"
    said = (
        "warning",
        "the best passages are on average less similar than 0.3",
        "Questions and documents do not fit: see what is asked, what is ingested, and the embedding model.",
    )
    return _alert(pipeline, "RagSimilarityLow", f"{average} < 0.3 and {count} > {_ENOUGH}", 15, said)


def _cache(pipeline: RagPipeline) -> Manifest:
    lookups = f"{metrics.CACHE_LOOKUPS}_total"
    hits = _or_none(_grown(pipeline, lookups, 'cache="answer"', 'result="hit"'))
    every = _grown(pipeline, lookups, 'cache="answer"', 'result=~"hit|miss"')
    said = (
        "info",
        "less than 30 % of answers come from the cache",
        "Expected where few questions recur; else see spec.cache.exact.ttl, the memory of the cache, and how often "
        "documents change.",
    )
    return _alert(pipeline, "RagCacheHitsFew", f"{hits} / {every} < 0.3 and {every} > {_ENOUGH}", 60, said)
