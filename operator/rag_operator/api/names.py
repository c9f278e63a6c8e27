"""Names of everything that the operator makes, and the labels and annotations that it reads and writes.

A child's name is its owner's name, a hyphen and a suffix. No suffix ends with another suffix, so two owners never get
the same child name; a Service may collide with the Service of a pipeline named like it, which `RESERVED_SUFFIXES`
prevents. A base that must be cut ends with a hash of the whole name, so that cut names don't collide either.
"""

import hashlib

from rag_operator.api import GROUP

MAX_PIPELINE_NAME = 40
MAX_TENANT_NAME = 63
MAX_LABEL = 63
MAX_CRONJOB_NAME = 52
"""Kubernetes appends 11 characters for a CronJob's Jobs."""
_HASH = 8
QUERY_PORT = 8000

MANAGED_BY = "rag-operator"
FIELD_MANAGER_PIPELINE = "rag-operator-pipeline"
FIELD_MANAGER_TENANT = "rag-operator-tenant"
FIELD_MANAGER_REPLICAS = "rag-operator-replicas"
"""Holds the number of query pods while it goes from the spec's hands into an autoscaler's."""

LABEL_PIPELINE = f"{GROUP}/pipeline"
LABEL_PIPELINE_NAMESPACE = f"{GROUP}/pipeline-namespace"
"""On children of tenants whose pipeline is in another namespace: there may be a pipeline of that name here too."""
LABEL_TENANT = f"{GROUP}/tenant"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_NAME = "app.kubernetes.io/name"
LABEL_USE = f"{GROUP}/use"
USE_SOURCES = "sources"

FINALIZER = f"{GROUP}/data"
ANNOTATION_SYNC_REQUESTED = f"{GROUP}/sync-requested"
ANNOTATION_SECRET_VERSIONS = f"{GROUP}/secret-versions"
ANNOTATION_AUTHORITIES = f"{GROUP}/ca-versions"
ANNOTATION_CONFIG = f"{GROUP}/config"
ANNOTATION_TEMPLATE = f"{GROUP}/template"
ANNOTATION_REPORTED_BEFORE = f"{GROUP}/reported-before"

COMPONENT_QUERY = "query"
COMPONENT_CACHE = "cache"
COMPONENT_POSTGRES = "postgres"
COMPONENT_INGEST = "ingest"

PIPELINE_SUFFIXES = ("query", "query-db", "cache", "postgres", "runtime", "ingestion")
TENANT_SUFFIXES = ("ingest", "ingest-db", "api-key")
RESERVED_SUFFIXES = ("cache", "postgres")
"""A pipeline `a-cache` would have the Service that pipeline `a` needs for its cache."""


def short_hash(text: str, length: int = _HASH) -> str:
    """The first `length` hexadecimal digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def child(owner: str, suffix: str, limit: int = MAX_LABEL) -> str:
    """`owner-suffix`, of at most `limit` characters: what doesn't fit is replaced by a hash of the whole name."""
    name = f"{owner}-{suffix}"
    if len(name) <= limit:
        return name
    room = limit - len(suffix) - _HASH - 2
    return f"{owner[:room].rstrip('-')}-{short_hash(name)}-{suffix}"


def query_service(pipeline: str) -> str:
    """Service that clients call: the pipeline's own name."""
    return pipeline


def query_endpoint(pipeline: str, namespace: str) -> str:
    """Address of the query Service within the cluster."""
    return f"http://{query_service(pipeline)}.{namespace}.svc:{QUERY_PORT}"


def query(pipeline: str) -> str:
    """Deployment of the query pods, and all that is about it: autoscaler, disruption budget, policy, monitors."""
    return child(pipeline, "query")


def query_database_secret(pipeline: str) -> str:
    """Secret with the query pods' database login."""
    return child(pipeline, "query-db")


def ingestion_account(pipeline: str) -> str:
    """ServiceAccount of the ingestion pods of all its tenants: one subject for a cloud to trust."""
    return child(pipeline, "ingestion")


def cache(pipeline: str) -> str:
    """Deployment, Service, Secret and NetworkPolicy of the managed Redis."""
    return child(pipeline, "cache")


def postgres(pipeline: str) -> str:
    """StatefulSet, Service, Secret, PersistentVolumeClaim and NetworkPolicy of the managed Postgres."""
    return child(pipeline, "postgres")


def ingest_policy(pipeline: str) -> str:
    """NetworkPolicy of the ingestion pods of all tenants."""
    return child(pipeline, "ingestion")


def runtime_config(pipeline: str, content_hash: str) -> str:
    """ConfigMap with the query pods' configuration, named by its content: a change is a new object, and rolls once."""
    return f"{child(pipeline, 'runtime')}-{content_hash[:_HASH]}"


def ingest(tenant: str) -> str:
    """CronJob of a tenant's ingestion, short enough for one; and NetworkPolicy, where its pipeline lives elsewhere."""
    return child(tenant, "ingest", MAX_CRONJOB_NAME)


def ingest_config(tenant: str, content_hash: str) -> str:
    """ConfigMap with a tenant's ingestion configuration, named by its content."""
    return f"{ingest(tenant)}-{content_hash[:_HASH]}"


def ingest_job(tenant: str, request: str) -> str:
    """Job that the operator starts itself (first run, run-now); the same request always has the same name."""
    return f"{ingest(tenant)}-{short_hash(request)}"


def ingest_database_secret(tenant: str) -> str:
    """Secret with the tenant's ingestion login."""
    return child(tenant, "ingest-db")


def api_key_secret(tenant: str) -> str:
    """Secret with the tenant's API key."""
    return child(tenant, "api-key")


def pipeline_labels(pipeline: str, component: str) -> dict[str, str]:
    """Labels of a pipeline's child."""
    return {
        LABEL_NAME: "rag-pipeline",
        LABEL_INSTANCE: pipeline,
        LABEL_COMPONENT: component,
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_PIPELINE: pipeline,
    }


def tenant_labels(pipeline: str, tenant: str, component: str) -> dict[str, str]:
    """Labels of a tenant's child."""
    return {
        LABEL_NAME: "rag-tenant",
        LABEL_INSTANCE: tenant,
        LABEL_COMPONENT: component,
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_PIPELINE: pipeline,
        LABEL_TENANT: tenant,
    }


def pipeline_selector(pipeline: str, component: str) -> dict[str, str]:
    """Selector of a pipeline's pods: the part of the labels that never changes."""
    return {LABEL_PIPELINE: pipeline, LABEL_COMPONENT: component}
