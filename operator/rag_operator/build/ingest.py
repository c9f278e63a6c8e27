"""A tenant's ingestion: configuration, database login, CronJob and single Jobs; and the tenant's API key."""

import json
from dataclasses import dataclass

from rag_operator.api import names, resolve
from rag_operator.api.common import SecretKeyRef
from rag_operator.api.endpoint import AuthorityRef
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.tenant import RagTenant, Source
from rag_operator.build import authorities, common, config, pods
from rag_operator.build.common import DatabaseAddress, Manifest, Release
from rag_operator.build.keys import key_mounts, key_volumes
from rag_runtime.contract.config import IngestConfig

LOGIN = "ingest"
"""Stem of the login's files in the database folder."""
API_KEY = "api-key"
_START_DEADLINE_SECONDS = 600
"""A run that could not start for so long is left out; after an outage not everything starts that was missed."""
_KEEP_SECONDS = 3600
_RETRIES = 2
_RESOURCES = common.amounts(cpu="100m", memory="384Mi", memory_limit="1Gi")


@dataclass(frozen=True, slots=True)
class IngestInputs:
    """What ingestion pods are made of beside the specs; `key_refs` are the configuration's, see `config.key_refs`,
    `ca_refs` those of its profiles."""

    config_map: str
    key_refs: tuple[SecretKeyRef, ...] = ()
    ca_refs: tuple[AuthorityRef, ...] = ()


def ingest_config_map(tenant: RagTenant, document: IngestConfig) -> Manifest:
    """The ingestion pods' configuration, named by its content."""
    text = config.render(document)
    name = names.ingest_config(tenant.metadata.name, config.content_hash(text))
    return config.config_map(common.tenant_metadata(tenant, name, names.COMPONENT_INGEST), text)


def ingest_database_secret(tenant: RagTenant, database: DatabaseAddress, username: str, password: str) -> Manifest:
    """The ingestion pods' database folder."""
    name = names.ingest_database_secret(tenant.metadata.name)
    metadata = common.tenant_metadata(tenant, name, names.COMPONENT_INGEST)
    return common.secret(metadata, common.database_files(database, {LOGIN: (username, password)}))


def api_key_secret(tenant: RagTenant, key: str) -> Manifest:
    """The tenant's API key. The catalog has its hash only."""
    name = names.api_key_secret(tenant.metadata.name)
    return common.secret(common.tenant_metadata(tenant, name, names.COMPONENT_QUERY), {API_KEY: key})


def ingest_cron_job(pipeline: RagPipeline, tenant: RagTenant, release: Release, inputs: IngestInputs) -> Manifest:
    """Scheduled ingestion. It goes on without the operator."""
    ingestion, meta = pipeline.spec.ingestion, tenant.metadata
    job = _job_spec(pipeline, tenant, release, inputs)
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": common.tenant_metadata(tenant, names.ingest(meta.name), names.COMPONENT_INGEST),
        "spec": {
            "schedule": str(resolve.schedule(pipeline.spec, tenant.spec, meta.namespace, meta.name)),
            "timeZone": str(ingestion.time_zone),
            "suspend": tenant.spec.suspend,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": _START_DEADLINE_SECONDS,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {
                "metadata": {
                    "labels": common.tenant_labels(tenant, names.COMPONENT_INGEST),
                    "annotations": _origin(inputs, job),
                },
                "spec": job,
            },
        },
    }


def ingest_job(
    pipeline: RagPipeline, tenant: RagTenant, release: Release, inputs: IngestInputs, request: str
) -> Manifest:
    """One run now, for a request: the same request has the same Job. To be created, since a Job can't be changed."""
    name = names.ingest_job(tenant.metadata.name, request)
    metadata = common.tenant_metadata(tenant, name, names.COMPONENT_INGEST)
    job = _job_spec(pipeline, tenant, release, inputs)
    metadata["annotations"] = _origin(inputs, job) | {names.ANNOTATION_SYNC_REQUESTED: request}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": job}


def _origin(inputs: IngestInputs, job: Manifest) -> dict[str, str]:
    """Annotations of a run: its configuration, and a hash of what its pods are made from as we said it."""
    template = json.dumps(job["template"], sort_keys=True)
    return {names.ANNOTATION_CONFIG: inputs.config_map, names.ANNOTATION_TEMPLATE: config.content_hash(template)}


def _job_spec(pipeline: RagPipeline, tenant: RagTenant, release: Release, inputs: IngestInputs) -> Manifest:
    return {
        "backoffLimit": _RETRIES,
        "activeDeadlineSeconds": max(1, round(pipeline.spec.ingestion.active_deadline.seconds)),
        "ttlSecondsAfterFinished": _KEEP_SECONDS,
        # A drained node is no failure of the run.
        "podFailurePolicy": {
            "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
        },
        "template": pods.template(
            {"labels": common.tenant_labels(tenant, names.COMPONENT_INGEST)},
            _pod(pipeline, tenant, release, inputs),
            pipeline.spec.ingestion.pod,
            _own(pipeline, tenant),
        ),
    }


def _own(pipeline: RagPipeline, tenant: RagTenant) -> dict[str, str]:
    """Selects the ingestion pods of all the pipeline's tenants in the tenant's namespace."""
    if tenant.is_guest:
        return common.guest_selector(pipeline)
    return names.pipeline_selector(common.name_of(pipeline), names.COMPONENT_INGEST)


def _pod(pipeline: RagPipeline, tenant: RagTenant, release: Release, inputs: IngestInputs) -> Manifest:
    refs = (*config.embedding_key_refs(pipeline.spec), *inputs.key_refs, *release.proxy.login_keys())
    trusted = (*authorities.of_ingestion(pipeline.spec), *inputs.ca_refs)
    mounted = [source for source in tenant.spec.sources if source.config_map_ref or source.volume]
    volumes = [
        common.config_map_volume("config", inputs.config_map),
        common.secret_volume("database", names.ingest_database_secret(tenant.metadata.name)),
        *key_volumes(refs),
        *authorities.volumes(trusted),
        *(_source_volume(f"source-{index}", source) for index, source in enumerate(mounted)),
        common.empty_dir("tmp", "1Gi"),
    ]
    mounts = [
        common.mount("config", str(config.CONFIG_FOLDER)),
        common.mount("database", str(config.DATABASE_FOLDER)),
        *key_mounts(refs),
        *authorities.mounts(trusted),
        *(
            common.mount(f"source-{index}", str(config.source_folder(source.name)))
            for index, source in enumerate(mounted)
        ),
        common.mount("tmp", "/tmp", read_only=False),  # noqa: S108
    ]
    container = {**_container(pipeline, release), "volumeMounts": mounts}
    pod = common.pod(common.OUR_USER, container, volumes, own_volumes=False)
    given = pipeline.spec.ingestion.pod
    spread = pods.spread(given.topology_spread_constraints, _own(pipeline, tenant), rollouts=False)
    return {
        **pod,
        **common.pull_secrets(release, pipeline.spec.query.image_pull_secrets),
        **pods.account(names.ingestion_account(common.name_of(pipeline)), given),
        **({"topologySpreadConstraints": spread} if spread else {}),
        "restartPolicy": "Never",
    }


def _source_volume(name: str, source: Source) -> Manifest:
    if source.config_map_ref:
        return common.config_map_volume(name, str(source.config_map_ref.name))
    assert source.volume is not None, "only sources that are mounted"
    # The mount is read-only and not the claim: some drivers attach a claim for reading or writing, not both at once.
    return {"name": name, "persistentVolumeClaim": {"claimName": str(source.volume.claim_ref.name)}}


def _container(pipeline: RagPipeline, release: Release) -> Manifest:
    return {
        "name": "ingest",
        "image": common.runtime_image(pipeline, release),
        "imagePullPolicy": release.pull_policy,
        "args": ["ingest", "--config", str(config.CONFIG_FOLDER / config.CONFIG_FILE)],
        "env": common.runtime_environment(release),
        "resources": common.resources(pipeline.spec.ingestion.resources, _RESOURCES),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
