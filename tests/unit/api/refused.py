"""Resources that are refused, by Python and by the real API server alike, each with where and the sentence."""

from __future__ import annotations

from tests.unit.api.examples import LOCAL, OPENAI, Example, Spec, endpoint, pipeline, source, tenant
from tests.unit.api.refused_forms import REFUSED_FORMS

DIMENSIONS = "the model has no vectors of this length"
TOO_LARGE = "a chunk may not be larger than what the embedder takes"


def _ranged(metric: Spec) -> Spec:
    return {"minReplicas": 1, "maxReplicas": 9, "metrics": [metric]}


EITHER = "give either replicas, or minReplicas and maxReplicas"

REFUSED = [
    # the resource's name
    pipeline("a name too long", {}, "metadata.name", "at most 40", name="a" * 41),
    tenant("a tenant's name that starts with a digit", {}, "metadata.name", "starts with a letter", name="1a"),
    pipeline("a name with a dot", {}, "metadata.name", "lower-case letters, digits and -", name="a.b"),
    pipeline("a name that a Service has", {}, "metadata.name", "may not end with -cache or -postgres", name="a-cache"),
    # the runtime
    pipeline(
        "a tag that is no version", {"runtimeVersion": "latest"}, "spec.runtimeVersion", "a version such as 0.1.0"
    ),
    pipeline(
        "a version beside an image",
        {"runtimeVersion": "0.1.0", "query": {"image": "registry.example/runtime:1"}},
        "spec.runtimeVersion",
        "leave runtimeVersion empty, or query.image",
    ),
    # unions
    Example(
        "no database", "RagPipeline", {"database": {}}, "spec.database", "give exactly one of secretRef and managed"
    ),
    Example(
        "two databases",
        "RagPipeline",
        {"database": {"managed": {}, "secretRef": {"name": "a"}}},
        "spec.database",
        "give exactly one of secretRef and managed",
    ),
    pipeline(
        "two caches",
        {"cache": {"managed": {}, "secretRef": {"name": "a"}}},
        "spec.cache",
        "give at most one of managed and secretRef",
    ),
    pipeline(
        "two embedders",
        {"embedding": {"builtIn": {}, "endpoint": LOCAL, "model": "m", "dimensions": 8}},
        "spec.embedding",
        "give at most one of builtIn and endpoint",
    ),
    pipeline(
        "two answerers",
        {"llm": {"builtIn": {}, "models": [{"model": "m", "endpoint": LOCAL}]}},
        "spec.llm",
        "give at most one of builtIn and models",
    ),
    source("a source of nothing", {}, "spec.sources[0]", "give exactly one of configMapRef, volume and http"),
    source(
        "a source of two things",
        {"configMapRef": {"name": "a"}, "http": {"urls": ["http://a"]}},
        "spec.sources[0]",
        "give exactly one of configMapRef, volume and http",
    ),
    # who may call
    *(
        pipeline(
            f"a peer {about}",
            {"access": {"networkPolicy": {"allowFrom": [peer]}}},
            "spec.access.networkPolicy.allowFrom[0]",
            "give either ipBlock, or podSelector, namespaceSelector or both",
        )
        for about, peer in (
            ("of nothing", {}),
            ("of two kinds", {"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}),
        )
    ),
    *(
        pipeline(
            f"a selector with {about}",
            {"access": {"networkPolicy": {"allowFrom": [{selector: {"matchExpressions": [expression]}}]}}},
            f"spec.access.networkPolicy.allowFrom[0].{selector}.matchExpressions[0]",
            "In and NotIn need values",
        )
        for about, selector, expression in (
            ("In and no values", "podSelector", {"key": "a", "operator": "In"}),
            ("Exists and values", "namespaceSelector", {"key": "a", "operator": "Exists", "values": ["b"]}),
        )
    ),
    *(
        pipeline(
            f"the range {cidr}",
            {"access": {"networkPolicy": {"allowFrom": [{"ipBlock": {"cidr": cidr}}]}}},
            "spec.access.networkPolicy.allowFrom[0].ipBlock.cidr",
            "write a range of addresses",
        )
        for cidr in ("10.0.0.0", "10.0.0.256/8", "10.0.0.0/33", "2001:db8::/129", "host.example")
    ),
    pipeline(
        "a label's key with a space",
        {"access": {"networkPolicy": {"allowFrom": [{"podSelector": {"matchLabels": {"a b": "c"}}}]}}},
        "spec.access.networkPolicy.allowFrom[0].podSelector.matchLabels",
        "write a key such as",
    ),
    # embedding, chunks and index
    pipeline(
        "an endpoint without model",
        {"embedding": {"endpoint": OPENAI, "dimensions": 8}},
        "spec.embedding.model",
        "name the endpoint's embedding model",
    ),
    pipeline(
        "an endpoint without dimensions",
        {"embedding": {"endpoint": OPENAI, "model": "m"}},
        "spec.embedding.dimensions",
        "say how long the model's vectors are",
    ),
    pipeline(
        "a model without its endpoint",
        {"embedding": {"model": "text-embedding-3-small"}},
        "spec.embedding.model",
        "leave model out, or add the endpoint",
    ),
    pipeline(
        "OpenAI without a key",
        {"embedding": {"endpoint": {}, "model": "m", "dimensions": 8}},
        "spec.embedding.endpoint.secretRef",
        "name the Secret with the OpenAI API key",
    ),
    pipeline(
        "OpenAI's chat without a key",
        {"llm": {"models": [{"model": "m", "endpoint": {}}]}},
        "spec.llm.models[0].endpoint.secretRef",
        "name the Secret with the OpenAI API key",
    ),
    pipeline(
        "dimensions that the built-in embedder doesn't have",
        {"embedding": {"dimensions": 1536}},
        "spec.embedding.dimensions",
        DIMENSIONS,
    ),
    endpoint("too many", "text-embedding-3-small", 1537, path="spec.embedding.dimensions", says=DIMENSIONS),
    endpoint("too few", "text-embedding-ada-002", 1535, path="spec.embedding.dimensions", says=DIMENSIONS),
    pipeline(
        "more input than the built-in embedder takes",
        {"embedding": {"maxInputTokens": 255}},
        "spec.embedding.maxInputTokens",
        "more than the model takes",
    ),
    endpoint(
        "more input than OpenAI takes",
        "text-embedding-3-large",
        8,
        embedding={"maxInputTokens": 8192},
        path="spec.embedding.maxInputTokens",
        says="more than the model takes",
    ),
    endpoint(
        "vectors too long for the index", "own", 4001, path="spec.embedding.dimensions", says="at most 4000 dimensions"
    ),
    endpoint(
        "vectors too long for the index at full precision",
        "text-embedding-3-large",
        3072,
        spec={"index": {"quantization": "None"}},
        path="spec.embedding.dimensions",
        says="2000 with None",
    ),
    pipeline("a chunk too large", {"chunking": {"size": 255}}, "spec.chunking.size", TOO_LARGE),
    endpoint(
        "a chunk too large for an unknown model",
        "own",
        8,
        spec={"chunking": {"size": 513}},
        path="spec.chunking.size",
        says=TOO_LARGE,
    ),
    endpoint(
        "a chunk too large for what was said",
        "own",
        8,
        embedding={"maxInputTokens": 100},
        spec={"chunking": {"size": 101}},
        path="spec.chunking.size",
        says=TOO_LARGE,
    ),
    pipeline(
        "half of it overlap", {"chunking": {"size": 100, "overlap": 50}}, "spec.chunking.overlap", "less than half"
    ),
    pipeline("half of the default overlap", {"chunking": {"overlap": 100}}, "spec.chunking.overlap", "less than half"),
    endpoint(
        "half of a default that was cut to fit",
        "own",
        8,
        embedding={"maxInputTokens": 100},
        spec={"chunking": {"overlap": 50}},
        path="spec.chunking.overlap",
        says="less than half",
    ),
    pipeline(
        "a thin graph",
        {"index": {"hnsw": {"m": 20, "efConstruction": 39}}},
        "spec.index.hnsw.efConstruction",
        "at least twice m",
    ),
    # retrieval, scaling
    pipeline("few candidates", {"retrieval": {"candidates": 5}}, "spec.retrieval.candidates", "at least topK"),
    pipeline(
        "no weight",
        {"retrieval": {"fusion": {"vectorWeight": "0", "lexicalWeight": "0.0"}}},
        "spec.retrieval.fusion",
        "one of the two weights must be more than 0",
    ),
    pipeline(
        "replicas and a range", {"scaling": {"replicas": 1, "minReplicas": 1, "maxReplicas": 2}}, "spec.scaling", EITHER
    ),
    pipeline("half a range", {"scaling": {"maxReplicas": 2}}, "spec.scaling", "give both minReplicas and maxReplicas"),
    pipeline(
        "a range backwards",
        {"scaling": {"minReplicas": 3, "maxReplicas": 2}},
        "spec.scaling.maxReplicas",
        "at least minReplicas",
    ),
    pipeline(
        "a percentage of requests under way",
        {"scaling": _ranged({"type": "InFlight", "averageValue": 8, "averageUtilizationPercent": 70})},
        "spec.scaling.metrics[0].averageUtilizationPercent",
        "type CPU takes averageUtilizationPercent; no other does",
    ),
    pipeline(
        "requests under way without a number",
        {"scaling": _ranged({"type": "InFlight"})},
        "spec.scaling.metrics[0].averageValue",
        "type InFlight needs averageValue, for instance 8",
    ),
    pipeline(
        "a latency that CPU is given",
        {"scaling": _ranged({"type": "CPU", "threshold": "2s"})},
        "spec.scaling.metrics[0].threshold",
        "type LatencyP95 needs threshold",
    ),
    pipeline(
        "a latency without a threshold",
        {"scaling": _ranged({"type": "LatencyP95"})},
        "spec.scaling.metrics[0].threshold",
        "type LatencyP95 needs threshold, for instance 2s",
    ),
    pipeline(
        "a Prometheus with a query",
        {"observability": {"prometheus": {"address": "http://prometheus:9090/?a=b"}}},
        "spec.observability.prometheus.address",
        "write an http:// or https:// address without credentials, query or fragment",
    ),
    pipeline(
        "a monitor's label that is none",
        {"observability": {"alerts": {"labels": {"release": "a b"}}}},
        "spec.observability.alerts.labels.release",
        "write at most 63 letters",
        cluster_says="should match '^([A-Za-z0-9]",
    ),
    pipeline(
        "metrics for fixed replicas",
        {"scaling": {"replicas": 1, "metrics": [{"type": "CPU"}]}},
        "spec.scaling.metrics",
        "metrics need minReplicas and maxReplicas",
    ),
    *REFUSED_FORMS,
]
