"""How examples are written, and resources that are taken, by Python and by the real API server alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Spec = dict[str, Any]
MINIMAL = Path(__file__).parent / "minimal.yaml"
DATABASE: Spec = {"database": {"managed": {}}}
OPENAI: Spec = {"secretRef": {"name": "openai"}}
LOCAL: Spec = {"baseURL": "http://models.models:8080/v1"}
CALLERS: list[Spec] = [
    {"namespaceSelector": {}},
    {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "web", "a": ""}}},
    {
        "podSelector": {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]},
        "namespaceSelector": {"matchExpressions": [{"key": "rag.example/client", "operator": "Exists"}]},
    },
    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.2.3.4/32"]}},
    {"ipBlock": {"cidr": "2001:db8::/32"}},
]
CRON = "write a cron schedule of five fields"


@dataclass(frozen=True)
class Example:
    """One resource. `path` and `says` are the finding on it (none: it is taken); `cluster_says` where the API server's
    schema has words of its own, `python_says` where pydantic has."""

    about: str
    kind: str
    spec: Spec
    path: str = ""
    says: str = ""
    cluster_says: str = ""
    name: str = "sample"
    metadata: Spec = field(default_factory=dict)

    def resource(self) -> Spec:
        return {
            "apiVersion": "rag-operator.dev/v1alpha1",
            "kind": self.kind,
            "metadata": {"name": self.name, "namespace": "default"} | self.metadata,
            "spec": self.spec,
        }


def pipeline(about: str, spec: Spec, path: str = "", says: str = "", **more: Any) -> Example:
    return Example(about, "RagPipeline", DATABASE | spec, path, says, **more)


def source(about: str, given: Spec, path: str = "", says: str = "", **more: Any) -> Example:
    return tenant(about, {"sources": [{"name": "a"} | given]}, path, says, **more)


def tenant(about: str, spec: Spec, path: str = "", says: str = "", **more: Any) -> Example:
    whole = {"pipelineRef": {"name": "p"}, "sources": [{"name": "a", "configMapRef": {"name": "a"}}]} | spec
    return Example(about, "RagTenant", whole, path, says, **more)


def endpoint(about: str, model: str, dimensions: int, **more: Any) -> Example:
    embedding = {"endpoint": OPENAI, "model": model, "dimensions": dimensions} | more.pop("embedding", {})
    return pipeline(about, {"embedding": embedding} | more.pop("spec", {}), **more)


def schedule(text: str, *, taken: bool = False) -> Example:
    finding = ("", "") if taken else ("spec.ingestion.schedule", CRON)
    return pipeline(f"the schedule {text}", {"ingestion": {"schedule": text}}, *finding)


TAKEN = [
    pipeline("nothing but a database", {}),
    pipeline("a name of 40 characters", {}, name="a" * 40),
    tenant("a name of 63 characters", {}, name="a" * 63),
    Example("a Secret's database", "RagPipeline", {"database": {"secretRef": {"name": "db"}}}),
    pipeline("a catalog's id", {"database": {"managed": {}, "adopt": "5d1c0f6e-58cd-4e7a-9d5c-0b0a5f3f8a11"}}),
    pipeline("a version of the runtime", {"runtimeVersion": "0.1.0-rc.1"}),
    pipeline("no version, and an image", {"runtimeVersion": "", "query": {"image": "registry.example/runtime:1"}}),
    pipeline("policies of the network off", {"access": {"networkPolicy": {"enabled": False}}}),
    pipeline("who may call", {"access": {"networkPolicy": {"allowFrom": CALLERS}}}),
    pipeline("a managed cache", {"cache": {"managed": {"memory": "1.5Gi"}}}),
    pipeline("a size without quotes", {"database": {"managed": {"storage": 10737418240}}}),
    pipeline("a Secret's cache", {"cache": {"secretRef": {"name": "redis"}, "exact": {"ttl": "1h30m"}}}),
    pipeline("the built-in embedder by name", {"embedding": {"builtIn": {}, "model": "all-MiniLM-L6-v2"}}),
    pipeline("the built-in embedder's own figures", {"embedding": {"dimensions": 384, "maxInputTokens": 254}}),
    endpoint("OpenAI's small model", "text-embedding-3-small", 1536),
    endpoint("OpenAI's small model, shortened", "text-embedding-3-small", 256),
    endpoint("OpenAI's large model as HalfVec", "text-embedding-3-large", 3072),
    endpoint("OpenAI's oldest model", "text-embedding-ada-002", 1536, embedding={"maxInputTokens": 8000}),
    endpoint("a model of one's own", "bge-m3", 1024, embedding={"endpoint": LOCAL, "maxInputTokens": 8192}),
    endpoint("a Flat index of long vectors", "own", 8000, spec={"index": {"type": "Flat"}}),
    endpoint("an unknown model's default room", "own", 8, spec={"chunking": {"size": 512, "overlap": 255}}),
    endpoint("a large chunk", "text-embedding-3-small", 1536, spec={"chunking": {"size": 8000, "overlap": 3999}}),
    pipeline("the largest built-in chunk", {"chunking": {"size": 254, "overlap": 126}}),
    pipeline("the largest built-in default overlap", {"chunking": {"overlap": 99}}),
    pipeline("many neighbours", {"index": {"hnsw": {"m": 100}}}),
    pipeline("an exact efConstruction", {"index": {"hnsw": {"m": 20, "efConstruction": 40, "efSearch": 10}}}),
    pipeline("the highest topK", {"retrieval": {"topK": 50}}),
    pipeline("as many candidates as passages", {"retrieval": {"topK": 50, "candidates": 50, "timeout": "100ms"}}),
    pipeline("one weight of two", {"retrieval": {"fusion": {"vectorWeight": "0"}, "minScore": "1"}}),
    pipeline("the built-in answerer", {"llm": {"builtIn": {"model": "Extractive"}, "temperature": "2.0"}}),
    pipeline("a chat model", {"llm": {"models": [{"model": "gpt-4o-mini", "endpoint": OPENAI}]}}),
    pipeline("a chat model without a key", {"llm": {"models": [{"name": "own", "model": "m", "endpoint": LOCAL}]}}),
    pipeline(
        "a private authority", {"llm": {"models": [{"model": "m", "endpoint": LOCAL | {"caRef": {"name": "a"}}}]}}
    ),
    pipeline("an authority of sites", {"ingestion": {"sources": {"caRef": {"name": "a.b", "key": "bundle.pem"}}}}),
    pipeline("fixed replicas", {"scaling": {"replicas": 3}}),
    pipeline("a range of replicas", {"scaling": {"minReplicas": 2, "maxReplicas": 2, "metrics": [{"type": "CPU"}]}}),
    pipeline(
        "a range by all figures",
        {
            "scaling": {
                "minReplicas": 1,
                "maxReplicas": 9,
                "metrics": [
                    {"type": "CPU", "averageUtilizationPercent": 50},
                    {"type": "InFlight", "averageValue": 8},
                    {"type": "LatencyP95", "threshold": "1500ms"},
                ],
            },
            "observability": {
                "prometheus": {"address": "http://prometheus.monitoring:9090/prom"},
                "serviceMonitor": {"enabled": False},
                "alerts": {"labels": {"release": "prom", "example.com/team": ""}},
            },
        },
    ),
    pipeline("resources", {"query": {"resources": {"requests": {"cpu": 1, "memory": "512Mi"}}}}),
    pipeline("allowed hosts", {"ingestion": {"sources": {"allowedHosts": ["a", "*.b.example", "10.0.0.1:8080"]}}}),
    pipeline("a time zone", {"ingestion": {"timeZone": "America/Argentina/Buenos_Aires", "activeDeadline": "90m"}}),
    *(
        pipeline(f"tenants of {about}", {"tenancy": {"namespaces": namespaces}})
        for about, namespaces in (
            ("its own namespace", {"from": "Same"}),
            ("every namespace", {"from": "All"}),
            ("labelled namespaces", {"from": "Selector", "selector": {"matchLabels": {"rag": "true"}}}),
            ("namespaces said of nothing", {}),
        )
    ),
    tenant("a pipeline in another namespace", {"pipelineRef": {"name": "p", "namespace": "1st-of-all"}}),
    *(
        schedule(text, taken=True)
        for text in (
            "* * * * *",
            "*/7 0-23/2 1,15,31 JAN-DEC *",
            "5-59/15 * * * 0-6",
            "59 23 31 12 sun-SAT",
            "00 09 01 1,2,mar MON,3",
            "1-1 * * * FRI-fri",
        )
    ),
    tenant("a schedule of its own", {"schedule": "0 * * * *", "suspend": True, "deletionPolicy": "Delete"}),
    source("a volume", {"volume": {"claimRef": {"name": "docs"}, "path": "/a..b/c"}, "include": ["**/*.md"]}),
    source("web pages", {"http": {"urls": ["https://a.example/x?y=z%20", "http://[::1]:80"], "depth": 5}}),
    source("metadata", {"configMapRef": {"name": "a"}, "metadata": {"department.of_x-y": "support"}}),
]
