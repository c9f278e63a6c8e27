"""The managed Postgres: one pod with a volume, for trying out and small installations.

The volume is a claim of its own and not a StatefulSet's template, which could be neither grown nor released: under
Retain it has no owner and outlives the pipeline; a pipeline of the same name finds it again.
"""

from rag_operator.api import names
from rag_operator.api.common import DeletionPolicy
from rag_operator.api.pipeline import ManagedDatabase, RagPipeline
from rag_operator.build import common, pods
from rag_operator.build.common import Manifest, Release

PORT = 5432
ADMIN = "rag_admin"
DATABASE = "rag"
PASSWORD_KEY = "password"  # noqa: S105  the name of a key, no password
_MOUNT = "/data"
"""Apart from the images' own folders, which public images of 17 and 18 lay out differently."""
_PGDATA = f"{_MOUNT}/pgdata"
"""A folder of the volume, because a volume's root may belong to root or hold lost+found."""
_PASSWORD_FOLDER = "/etc/rag/postgres"  # noqa: S105
_SHARED_MEMORY = "256Mi"
"""A parallel index build takes maintenance_work_mem of shared memory at once; a pod's default is 64 MiB."""
_RESOURCES = common.amounts(cpu="100m", memory="384Mi", memory_limit="2Gi")
_SETTINGS = {
    "effective_cache_size": "512MB",
    "jit": "off",
    "maintenance_work_mem": "128MB",
    "max_connections": "200",
    "max_wal_size": "2GB",
    "password_encryption": "scram-sha-256",
    "random_page_cost": "1.1",
    "shared_buffers": "128MB",
}

# In single-user mode before each start, because POSTGRES_PASSWORD counts at the first start only: after a pipeline was
# made anew over a retained volume, or its Secret was, nobody would get in. Failures don't log the statement.
_START_SCRIPT = r"""set -eu
[ -s "$PGDATA/PG_VERSION" ] || exit 0
password="$(sed "s/'/''/g" "$POSTGRES_PASSWORD_FILE")"
printf "ALTER ROLE %s WITH LOGIN SUPERUSER PASSWORD '%s'\n" "$POSTGRES_USER" "$password" |
  postgres --single -D "$PGDATA" -c log_statement=none -c log_min_error_statement=panic postgres > /dev/null
"""


def managed_postgres(pipeline: RagPipeline, release: Release, secret_version: str) -> tuple[Manifest, ...]:
    """Claim, Service and StatefulSet, in the order in which to apply them; `secret_version` rolls the pod."""
    return _claim(pipeline), _service(pipeline), _stateful_set(pipeline, release, secret_version)


def managed_postgres_secret(pipeline: RagPipeline, password: str) -> Manifest:
    """The admin's login, with the keys that a Secret of one's own would have. It never leaves operator and database."""
    name = names.postgres(common.name_of(pipeline))
    data = {
        "host": common.service_host(name, pipeline.metadata.namespace),
        "port": str(PORT),
        "dbname": DATABASE,
        "username": ADMIN,
        PASSWORD_KEY: password,
        "sslmode": "disable",
    }
    return common.secret(common.pipeline_metadata(pipeline, name, names.COMPONENT_POSTGRES), data)


def _claim(pipeline: RagPipeline) -> Manifest:
    metadata = common.pipeline_metadata(pipeline, names.postgres(common.name_of(pipeline)), names.COMPONENT_POSTGRES)
    # Before the pipeline has a catalog there, the volume may hold what another was told to keep.
    if pipeline.spec.deletion_policy is DeletionPolicy.RETAIN or not pipeline.status.catalog_id:
        del metadata["ownerReferences"]
    database = _managed(pipeline)
    spec: Manifest = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": common.canonical(database.storage)}},
    }
    if database.storage_class_name is not None:
        spec["storageClassName"] = str(database.storage_class_name)
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def _managed(pipeline: RagPipeline) -> ManagedDatabase:
    return pipeline.spec.database.managed or ManagedDatabase()


def _service(pipeline: RagPipeline) -> Manifest:
    name = common.name_of(pipeline)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": common.pipeline_metadata(pipeline, names.postgres(name), names.COMPONENT_POSTGRES),
        "spec": {
            "type": "ClusterIP",
            "selector": names.pipeline_selector(name, names.COMPONENT_POSTGRES),
            "ports": [{"name": "postgres", "port": PORT, "targetPort": "postgres", "protocol": "TCP"}],
        },
    }


def _stateful_set(pipeline: RagPipeline, release: Release, secret_version: str) -> Manifest:
    name = common.name_of(pipeline)
    child = names.postgres(name)
    own = names.pipeline_selector(name, names.COMPONENT_POSTGRES)
    about = {
        "labels": names.pipeline_labels(name, names.COMPONENT_POSTGRES),
        "annotations": {names.ANNOTATION_SECRET_VERSIONS: common.secret_versions({child: secret_version})},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": common.pipeline_metadata(pipeline, child, names.COMPONENT_POSTGRES),
        "spec": {
            "replicas": 1,
            "serviceName": child,
            # With one pod nothing is ordered, and a pod that never became ready is replaced by a mended one.
            "podManagementPolicy": "Parallel",
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": own},
            "template": pods.template(about, _pod(child, release), _managed(pipeline).pod, own),
        },
    }


def _pod(child: str, release: Release) -> Manifest:
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": child}},
        common.secret_volume("password", child, [PASSWORD_KEY]),
        common.empty_dir("shm", _SHARED_MEMORY, memory=True),
        common.empty_dir("run", "16Mi"),
        common.empty_dir("tmp", "64Mi"),
    ]
    pod = common.pod(common.SERVICE_USER, _container(release), volumes, own_volumes=True)
    set_password = {
        "name": "set-password",
        "image": release.postgres_image,
        "imagePullPolicy": release.pull_policy,
        "command": ["/bin/sh", "-c", _START_SCRIPT],
        "env": _environment(),
        "resources": common.resources(_RESOURCES, _RESOURCES),
        "volumeMounts": _mounts(),
        "securityContext": common.container_security(),
    }
    # A fast shutdown writes a checkpoint: up to max_wal_size of dirty pages.
    more = {"initContainers": [set_password], "terminationGracePeriodSeconds": 2 * common.GRACE_SECONDS}
    return pod | common.pull_secrets(release) | more


def _container(release: Release) -> Manifest:
    # On 127.0.0.1, because while the image sets up its first database the server listens on a socket only.
    ready = {"exec": {"command": ["pg_isready", "-q", "-h", "127.0.0.1", "-U", ADMIN, "-d", DATABASE]}}
    return {
        "name": "postgres",
        "image": release.postgres_image,
        "imagePullPolicy": release.pull_policy,
        "args": [part for name, value in sorted(_SETTINGS.items()) for part in ("-c", f"{name}={value}")],
        "env": _environment(),
        "ports": [{"name": "postgres", "containerPort": PORT, "protocol": "TCP"}],
        # Ten minutes: a crash is recovered from before anyone is let in.
        "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": 600, "timeoutSeconds": 3},
        "readinessProbe": {**ready, "periodSeconds": 5, "failureThreshold": 3, "timeoutSeconds": 3},
        "livenessProbe": {
            "tcpSocket": {"port": "postgres"},
            "periodSeconds": 10,
            "failureThreshold": 6,
            "timeoutSeconds": 3,
        },
        "resources": common.resources(_RESOURCES, _RESOURCES),
        "volumeMounts": _mounts(),
    }


def _environment() -> list[Manifest]:
    values = {
        "PGDATA": _PGDATA,
        "POSTGRES_DB": DATABASE,
        "POSTGRES_INITDB_ARGS": "--data-checksums",
        "POSTGRES_PASSWORD_FILE": f"{_PASSWORD_FOLDER}/{PASSWORD_KEY}",
        "POSTGRES_USER": ADMIN,
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def _mounts() -> list[Manifest]:
    return [
        common.mount("data", _MOUNT, read_only=False),
        common.mount("password", _PASSWORD_FOLDER),
        common.mount("shm", "/dev/shm", read_only=False),  # noqa: S108
        common.mount("run", "/var/run/postgresql", read_only=False),
        common.mount("tmp", "/tmp", read_only=False),  # noqa: S108
    ]
