"""Pipelines and tenants of many shapes, and every manifest that is built for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

from rag_operator.api import API_VERSION, resolve
from rag_operator.api.parse import parse_pipeline, parse_tenant
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.tenant import RagTenant
from rag_operator.build import cache, config, ingest, monitors, network, pods, postgres, query, scaling
from rag_operator.build.common import DatabaseAddress, Manifest, Proxy, Release
from rag_runtime.contract.names import CatalogNames, TenantNames
from tests.unit.api.examples import LOCAL
from tests.unit.api.pods import PLACED

PASSWORD = "s3cret-admin"
CACHE_PASSWORD = "s3cret/cache:@"
QUERY_PASSWORD = "s3cret-query"
INGEST_PASSWORD = "s3cret-ingest"
API_KEY = "rag_s3cret-api"
SECRETS = (PASSWORD, CACHE_PASSWORD, QUERY_PASSWORD, INGEST_PASSWORD, API_KEY)
NAMESPACE = "rag"

RELEASE = Release("0.1.0", "rag-operator/runtime:dev", "pgvector/pgvector:pg17", "redis:8", "IfNotPresent")
PROXIED = replace(RELEASE, proxy=Proxy("http://proxy:3128", "http://proxy:3129", (".corp",), "corp.proxy"))
CATALOG = CatalogNames(UUID("5d1c0f6e-58cd-4e7a-9d5c-0b0a5f3f8a11"))
ADDRESS = DatabaseAddress("db.rag.svc", 5432, "rag", "verify-full", "PEM")

ALLOW_FROM: list[dict[str, Any]] = [
    {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}},
    {"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", ""]}]}},
    {
        "podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
        "namespaceSelector": {"matchLabels": {"rag-client": "true"}},
    },
    {"ipBlock": {"cidr": "10.20.0.0/16", "except": ["10.20.1.0/24"]}},
]
OPENAI = {"secretRef": {"name": "openai"}}
HOSTED: dict[str, Any] = {
    "database": {"secretRef": {"name": "support-db-app"}},
    "cache": {"secretRef": {"name": "redis.shared"}, "exact": {"enabled": False}, "embedding": {"ttl": "500ms"}},
    "embedding": {"endpoint": OPENAI, "model": "text-embedding-3-small", "dimensions": 1536},
    "llm": {"models": [{"model": "gpt-4o-mini", "endpoint": {"secretRef": {"name": "openai", "key": "chat"}}}]},
    "query": {
        "image": "registry.example/rag-runtime:1",
        "imagePullSecrets": [{"name": "pull"}],
        "resources": {"requests": {"memory": "4Gi", "cpu": "0.5"}, "limits": {"cpu": "1500m"}},
    },
    "scaling": {"minReplicas": 2, "maxReplicas": 5},
    "ingestion": {
        "resources": {"limits": {"memory": "128Mi"}},
        "activeDeadline": "1h30m",
        "sources": {"allowedHosts": ["*.acme.example", "wiki.rag.svc:8080", "docs.acme.example"]},
    },
    "access": {"networkPolicy": {"allowFrom": ALLOW_FROM}},
    "observability": {"serviceMonitor": {"labels": {"release": "prom"}}, "alerts": {"labels": {"release": "prom"}}},
}
CORP = {"name": "corp-ca"}
PRIVATE: dict[str, Any] = {
    "database": {"managed": {}},
    "embedding": {"endpoint": LOCAL | {"caRef": CORP}, "model": "m", "dimensions": 8},
    "llm": {"models": [{"model": "m", "endpoint": LOCAL | {"caRef": CORP | {"key": "chat.pem"}}}]},
    "ingestion": {"sources": {"caRef": {"name": "sites.ca", "key": "bundle"}}},
}
LABELLED: dict[str, Any] = {
    "from": "Selector",
    "selector": {
        "matchLabels": {"rag.example/tenants": "true"},
        "matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["guests", ""]}],
    },
}
SOURCES = [
    {"name": "handbook", "configMapRef": {"name": "acme.handbook"}, "include": ["**/*.md"], "metadata": {"a": "b"}},
    {"name": "a" * 63, "volume": {"claimRef": {"name": "acme-docs"}, "path": "/docs"}},
    {"name": "site", "http": {"urls": ["https://acme.example/help"], "depth": 1}},
]


def pipeline(spec: dict[str, Any] | None = None, name: str = "support", **metadata: Any) -> RagPipeline:
    return parse_pipeline(
        {
            "apiVersion": API_VERSION,
            "kind": "RagPipeline",
            "metadata": {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name[:20]}"} | metadata,
            "spec": {"database": {"managed": {}}} if spec is None else spec,
        }
    )


def guest(namespace: str = "sales", of: str = "shared") -> RagTenant:
    """A tenant in another namespace than its pipeline's."""
    return tenant({"pipelineRef": {"name": of, "namespace": NAMESPACE}}, "guest", namespace=namespace)


def tenant(spec: dict[str, Any] | None = None, name: str = "acme", of: str = "support", **metadata: Any) -> RagTenant:
    return parse_tenant(
        {
            "apiVersion": API_VERSION,
            "kind": "RagTenant",
            "metadata": {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name[:20]}"} | metadata,
            "spec": {"pipelineRef": {"name": of}, "sources": SOURCES} | (spec or {}),
        }
    )


ANNOTATIONS = {
    "kubectl.kubernetes.io/last-applied-configuration": "{}",
    "argocd.argoproj.io/tracking-id": "support:rag-operator.dev/RagPipeline:rag/support",
}
PIPELINES = {
    "minimal": pipeline(annotations=ANNOTATIONS),
    "hosted": pipeline(HOSTED),
    "scaled by all figures": pipeline(
        {
            "database": {"managed": {}},
            "scaling": {
                "minReplicas": 1,
                "maxReplicas": 9,
                "metrics": [
                    {"type": "CPU", "averageUtilizationPercent": 55},
                    {"type": "InFlight", "averageValue": 8},
                    {"type": "LatencyP95", "threshold": "1500ms"},
                ],
            },
        }
    ),
    "one replica": pipeline({"database": {"managed": {}}, "scaling": {"replicas": 1}}),
    "erased at the end": pipeline(
        {
            "database": {"managed": {"storage": "1024Mi", "storageClassName": "fast"}},
            "deletionPolicy": "Delete",
            "cache": {"managed": {"memory": "1.3Gi"}},
        }
    ),
    "a long name": pipeline(name="p" * 40),
    "placed": pipeline(PLACED, name="placed"),
    "of private authorities": pipeline(PRIVATE),
    "of labelled namespaces": pipeline(PLACED | {"tenancy": {"namespaces": LABELLED}}, name="shared"),
}
TENANTS = {
    "of all sources": tenant(annotations=ANNOTATIONS),
    "suspended": tenant({"suspend": True, "schedule": "0 3 * * *"}),
    "a long name": tenant(name="t" * 63, of="p" * 40),
    "placed": tenant(name="far", of="placed"),
    "in another namespace": guest(),
}


def tenant_names(of: RagTenant) -> TenantNames:
    return TenantNames(CATALOG, UUID("00000000-0000-4000-8000-000000000001"), of.metadata.name)


def pipeline_manifests(of: RagPipeline) -> Iterator[Manifest]:
    """All that is built for a pipeline."""
    if of.spec.database.managed:
        yield postgres.managed_postgres_secret(of, PASSWORD)
        yield from postgres.managed_postgres(of, RELEASE, "uid/1")
    if not of.spec.cache.secret_ref:
        yield cache.managed_redis_secret(of, CACHE_PASSWORD)
        yield from cache.managed_redis(of, RELEASE, "uid/2")
    document = config.serve_config(of, CATALOG, ())
    config_map = query.runtime_config_map(of, document)
    yield config_map
    yield query.query_database_secret(of, ADDRESS, {"query-00": ("role", QUERY_PASSWORD)})
    yield query.query_service(of)
    yield from filter(pods.is_wanted, pods.service_accounts(of))
    replicas = None if of.spec.scaling.min_replicas else of.spec.scaling.replicas or 2
    inputs = query.QueryInputs(config_map["metadata"]["name"], {"openai": "uid/3"}, replicas)
    yield query.query_deployment(of, RELEASE, inputs)
    if by := resolve.replicas(of.spec.scaling).metrics:
        yield scaling.query_hpa(of, by)
        yield scaling.scaled_object(of, by, "http://prometheus.monitoring:9090")
    yield from filter(None, (query.query_pdb(of),))
    yield from filter(None, (monitors.service_monitor(of), monitors.prometheus_rule(of)))
    yield from filter(None, network.network_policies(of, network_inputs(of)).values())


def network_inputs(of: RagPipeline) -> network.NetworkInputs:
    return network.NetworkInputs("rag-system", 6432, 6380, network.endpoints(of.spec, ()))


def tenant_manifests(of: RagPipeline, who: RagTenant) -> Iterator[Manifest]:
    """All that is built for a tenant."""
    config_map = ingest.ingest_config_map(who, config.ingest_config(of, who, tenant_names(who), ()))
    yield config_map
    yield ingest.ingest_database_secret(who, ADDRESS, "role", INGEST_PASSWORD)
    yield ingest.api_key_secret(who, API_KEY)
    if who.is_guest:
        yield from filter(None, (network.guest_policy(of, who, network_inputs(of)),))
    inputs = ingest.IngestInputs(config_map["metadata"]["name"])
    yield ingest.ingest_cron_job(of, who, RELEASE, inputs)
    yield ingest.ingest_job(of, who, RELEASE, inputs, "2026-01-01T00:00:00Z")


def all_manifests() -> dict[str, Manifest]:
    """Every manifest of every sample, by a name that says where it is from."""
    found: dict[str, Manifest] = {}
    for about, one in PIPELINES.items():
        for manifest in pipeline_manifests(one):
            found[f"{manifest['kind']} {manifest['metadata']['name']} of the pipeline {about}"] = manifest
        for who in TENANTS.values():
            if who.spec.pipeline_ref.name == one.metadata.name:
                for manifest in tenant_manifests(one, who):
                    found[f"{manifest['kind']} {manifest['metadata']['name']} of the pipeline {about}"] = manifest
    for manifest in calling_out(PIPELINES["hosted"], TENANTS["of all sources"], PROXIED):
        found[f"{manifest['kind']} behind proxies with a login"] = manifest
    return found


def calling_out(of: RagPipeline, who: RagTenant, release: Release) -> tuple[Manifest, ...]:
    """What makes pods that call outside."""
    inputs = ingest.IngestInputs("c")
    return (
        query.query_deployment(of, release, query.QueryInputs("c", {}, 2)),
        ingest.ingest_cron_job(of, who, release, inputs),
        ingest.ingest_job(of, who, release, inputs, "r"),
    )


def pod_template(manifest: Manifest) -> Manifest | None:
    """The pods that the manifest makes, or None."""
    spec = manifest.get("spec", {})
    template = spec.get("jobTemplate", {}).get("spec", {}).get("template") or spec.get("template")
    return dict(template) if template else None
