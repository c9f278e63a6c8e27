"""The query service: configuration, database login, Deployment, Service and disruption budget."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rag_operator.api import names, resolve
from rag_operator.api.common import SecretKeyRef
from rag_operator.api.endpoint import AuthorityRef
from rag_operator.api.pipeline import RagPipeline
from rag_operator.build import authorities, cache, common, config, pods
from rag_operator.build.common import DatabaseAddress, Manifest, Release
from rag_operator.build.keys import key_mounts, key_volumes
from rag_runtime.contract.config import ServeConfig

_PRE_STOP_SECONDS = 5
"""Endpoints and proxies learn in about a second that a pod ends; until then it still gets requests."""
_RESOURCES = common.amounts(cpu="200m", memory="384Mi", memory_limit="1Gi")


@dataclass(frozen=True, slots=True)
class QueryInputs:
    """What the query pods are made of beside the spec.

    `secret_versions`: uid and resourceVersion, in a form of the caller's, of each Secret whose change must roll the
    pods. The database login's is not among them: its files are read again. `replicas` is None where an autoscaler
    owns the number. `key_refs` are the configuration's, see `config.key_refs`, `ca_refs` those of its
    profiles. `ca_versions` are those of `authorities.rolls`.
    """

    config_map: str
    secret_versions: Mapping[str, str]
    replicas: int | None
    key_refs: tuple[SecretKeyRef, ...] = ()
    ca_refs: tuple[AuthorityRef, ...] = ()
    ca_versions: Mapping[str, str] = field(default_factory=dict)


def runtime_config_map(pipeline: RagPipeline, document: ServeConfig) -> Manifest:
    """The query pods' configuration, named by its content."""
    text = config.render(document)
    name = names.runtime_config(common.name_of(pipeline), config.content_hash(text))
    return config.config_map(common.pipeline_metadata(pipeline, name, names.COMPONENT_QUERY), text)


def query_database_secret(
    pipeline: RagPipeline, database: DatabaseAddress, logins: Mapping[str, tuple[str, str]]
) -> Manifest:
    """The query pods' database folder; `logins` is user name and password by stem (`query-00`)."""
    name = names.query_database_secret(common.name_of(pipeline))
    metadata = common.pipeline_metadata(pipeline, name, names.COMPONENT_QUERY)
    return common.secret(metadata, common.database_files(database, logins))


def query_deployment(pipeline: RagPipeline, release: Release, inputs: QueryInputs) -> Manifest:
    """The query pods. A rollout brings one new pod at a time and never has fewer than asked for."""
    name = common.name_of(pipeline)
    own = names.pipeline_selector(name, names.COMPONENT_QUERY)
    metadata = common.pipeline_metadata(pipeline, names.query(name), names.COMPONENT_QUERY)
    about = {
        "labels": names.pipeline_labels(name, names.COMPONENT_QUERY),
        "annotations": {
            names.ANNOTATION_CONFIG: inputs.config_map,
            names.ANNOTATION_SECRET_VERSIONS: common.secret_versions(inputs.secret_versions),
            **authorities.rolls(inputs.ca_versions),
        },
    }
    spec: Manifest = {
        "revisionHistoryLimit": 2,
        "progressDeadlineSeconds": 300,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "selector": {"matchLabels": own},
        "template": pods.template(about, _pod(pipeline, release, inputs), pipeline.spec.query.pod, own),
    }
    if inputs.replicas is not None:
        spec["replicas"] = inputs.replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def query_service(pipeline: RagPipeline) -> Manifest:
    """The address that clients call."""
    name = common.name_of(pipeline)
    port = {
        "name": "http",
        "port": names.QUERY_PORT,
        "targetPort": "http",
        "protocol": "TCP",
        "appProtocol": "http",
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": common.pipeline_metadata(pipeline, names.query_service(name), names.COMPONENT_QUERY),
        "spec": {
            "type": "ClusterIP",
            "selector": names.pipeline_selector(name, names.COMPONENT_QUERY),
            "ports": [port],
        },
    }


def query_pdb(pipeline: RagPipeline) -> Manifest | None:
    """The disruption budget, where there are two pods: with one it would only block the draining of nodes."""
    if resolve.replicas(pipeline.spec.scaling).minimum < 2:
        return None
    name = common.name_of(pipeline)
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": common.pipeline_metadata(pipeline, names.query(name), names.COMPONENT_QUERY),
        "spec": {
            "maxUnavailable": 1,
            # A pod that isn't ready serves nobody, and must not keep a node from being drained.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": names.pipeline_selector(name, names.COMPONENT_QUERY)},
        },
    }


def _pod(pipeline: RagPipeline, release: Release, inputs: QueryInputs) -> Manifest:
    name = common.name_of(pipeline)
    refs = (*config.key_refs_of(pipeline.spec), *inputs.key_refs, *release.proxy.login_keys())
    trusted = (*authorities.of_models(pipeline.spec), *inputs.ca_refs)
    volumes = [
        common.config_map_volume("config", inputs.config_map),
        common.secret_volume("database", names.query_database_secret(name)),
        cache.volume("cache", pipeline),
        *key_volumes(refs),
        *authorities.volumes(trusted),
        common.empty_dir("tmp", "1Gi"),
    ]
    mounts = [
        common.mount("config", str(config.CONFIG_FOLDER)),
        common.mount("database", str(config.DATABASE_FOLDER)),
        common.mount("cache", str(config.CACHE_FOLDER)),
        *key_mounts(refs),
        *authorities.mounts(trusted),
        common.mount("tmp", "/tmp", read_only=False),  # noqa: S108
    ]
    container = {**_container(pipeline, release), "volumeMounts": mounts}
    pod = common.pod(common.OUR_USER, container, volumes, own_volumes=True)
    given, own = pipeline.spec.query.pod, names.pipeline_selector(name, names.COMPONENT_QUERY)
    return {
        **pod,
        **common.pull_secrets(release, pipeline.spec.query.image_pull_secrets),
        **pods.account(names.query(name), given),
        "terminationGracePeriodSeconds": _PRE_STOP_SECONDS + common.GRACE_SECONDS,
        "topologySpreadConstraints": pods.spread(given.topology_spread_constraints, own, rollouts=True)
        or common.spread(own),
    }


def _container(pipeline: RagPipeline, release: Release) -> Manifest:
    return {
        "name": "query",
        "image": common.runtime_image(pipeline, release),
        "imagePullPolicy": release.pull_policy,
        "args": ["serve", "--config", str(config.CONFIG_FOLDER / config.CONFIG_FILE)],
        "env": common.runtime_environment(release),
        "ports": [{"name": "http", "containerPort": names.QUERY_PORT, "protocol": "TCP"}],
        "startupProbe": common.http_probe("/healthz", period=1, failures=120),
        "readinessProbe": common.http_probe("/readyz", period=3, failures=2),
        "livenessProbe": common.http_probe("/healthz", period=10, failures=6, timeout=5),
        "lifecycle": {"preStop": {"sleep": {"seconds": _PRE_STOP_SECONDS}}},
        "resources": common.resources(pipeline.spec.query.resources, _RESOURCES),
    }
