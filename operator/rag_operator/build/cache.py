"""The managed Redis: one pod without a volume. All of its content may vanish at any time."""

from decimal import Decimal
from urllib.parse import quote

from rag_operator.api import names
from rag_operator.api.common import Resources
from rag_operator.api.formats import Quantity
from rag_operator.api.pipeline import ManagedCache, RagPipeline
from rag_operator.build import common, pods
from rag_operator.build.common import Manifest, Release
from rag_operator.build.config import CACHE_CA_KEY, CACHE_URL_KEY

PORT = 6379
PASSWORD_KEY = "password"  # noqa: S105  the name of a key, no password
_CONFIG_KEY = "redis.conf"
_CONFIG_FOLDER = "/etc/redis"
_OVERHEAD = Decimal(64 * 1024 * 1024)
"""Connections, the replication buffer and Redis itself, beside the data."""


def managed_redis(pipeline: RagPipeline, release: Release, secret_version: str) -> tuple[Manifest, ...]:
    """Service and Deployment; `secret_version` rolls the pod."""
    return _service(pipeline), _deployment(pipeline, release, secret_version)


def managed_redis_secret(pipeline: RagPipeline, password: str) -> Manifest:
    """The password as the pods' URL, as Redis's own configuration, and by itself for the operator to read back."""
    name = names.cache(common.name_of(pipeline))
    host = common.service_host(name, pipeline.metadata.namespace)
    data = {
        CACHE_URL_KEY: f"redis://:{quote(password, safe='')}@{host}:{PORT}/0",
        PASSWORD_KEY: password,
        _CONFIG_KEY: f"requirepass {_quoted(password)}\n",
    }
    return common.secret(common.pipeline_metadata(pipeline, name, names.COMPONENT_CACHE), data)


def secret_name(pipeline: RagPipeline) -> str:
    """The Secret whose key `url` leads to the cache: the managed one's or the user's."""
    ref = pipeline.spec.cache.secret_ref
    return str(ref.name) if ref else names.cache(common.name_of(pipeline))


def volume(name: str, pipeline: RagPipeline) -> Manifest:
    """The address, and what its certificate is checked against. A Secret of the user's is optional, since pods answer
    without a cache too, and need not have the latter."""
    if pipeline.spec.cache.secret_ref is None:
        return common.secret_volume(name, secret_name(pipeline), [CACHE_URL_KEY])
    return common.secret_volume(name, secret_name(pipeline), [CACHE_URL_KEY, CACHE_CA_KEY], optional=True)


def _quoted(text: str) -> str:
    """As a word of redis.conf."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _service(pipeline: RagPipeline) -> Manifest:
    name = common.name_of(pipeline)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": common.pipeline_metadata(pipeline, names.cache(name), names.COMPONENT_CACHE),
        "spec": {
            "type": "ClusterIP",
            "selector": names.pipeline_selector(name, names.COMPONENT_CACHE),
            "ports": [{"name": "redis", "port": PORT, "targetPort": "redis", "protocol": "TCP"}],
        },
    }


def _deployment(pipeline: RagPipeline, release: Release, secret_version: str) -> Manifest:
    name = common.name_of(pipeline)
    child = names.cache(name)
    own = names.pipeline_selector(name, names.COMPONENT_CACHE)
    about = {
        "labels": names.pipeline_labels(name, names.COMPONENT_CACHE),
        "annotations": {names.ANNOTATION_SECRET_VERSIONS: common.secret_versions({child: secret_version})},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": common.pipeline_metadata(pipeline, child, names.COMPONENT_CACHE),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": 300,
            # Two at once would be two caches behind one address.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": own},
            "template": pods.template(about, _pod(pipeline, release), _managed(pipeline).pod, own),
        },
    }


def _pod(pipeline: RagPipeline, release: Release) -> Manifest:
    volumes = [
        common.secret_volume("config", names.cache(common.name_of(pipeline)), [_CONFIG_KEY]),
        common.empty_dir("data", "16Mi"),
    ]
    pod = common.pod(common.SERVICE_USER, _container(pipeline, release), volumes, own_volumes=True)
    return pod | common.pull_secrets(release)


def _managed(pipeline: RagPipeline) -> ManagedCache:
    return pipeline.spec.cache.managed or ManagedCache()


def _container(pipeline: RagPipeline, release: Release) -> Manifest:
    memory = _managed(pipeline).memory
    return {
        "name": "redis",
        "image": release.redis_image,
        "imagePullPolicy": release.pull_policy,
        "command": ["redis-server", f"{_CONFIG_FOLDER}/{_CONFIG_KEY}"],
        "args": _arguments(memory.bytes),
        "ports": [{"name": "redis", "containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": {
            "tcpSocket": {"port": "redis"},
            "periodSeconds": 2,
            "failureThreshold": 3,
            "timeoutSeconds": 2,
        },
        # Without a password Redis answers that it wants one, which proves that its loop turns.
        "livenessProbe": {
            "exec": {"command": ["redis-cli", "ping"]},
            "initialDelaySeconds": 10,
            "periodSeconds": 20,
            "failureThreshold": 3,
            "timeoutSeconds": 5,
        },
        "resources": common.resources(_resources(memory.value), Resources()),
        "volumeMounts": [common.mount("config", _CONFIG_FOLDER), common.mount("data", "/data", read_only=False)],
    }


def _arguments(memory_bytes: int) -> list[str]:
    settings = {
        "maxmemory": str(memory_bytes),
        "maxmemory-policy": "allkeys-lru",
        "save": "",
        "appendonly": "no",
        "dir": "/data",
        "bind": "* -::*",
        "lazyfree-lazy-eviction": "yes",
    }
    return [part for name, value in settings.items() for part in (f"--{name}", value)]


def _resources(memory: Decimal) -> Resources:
    """A quarter more than the data for fragmentation, and what Redis needs for itself."""
    wanted = Quantity(str(int(memory * Decimal("1.25") + _OVERHEAD)))
    return Resources(requests={"cpu": Quantity("50m"), "memory": wanted}, limits={"memory": wanted})
