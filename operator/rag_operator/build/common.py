"""What all builders share: owner, labels, security contexts, resources, volumes and the skeleton of a pod."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from rag_operator.api import names
from rag_operator.api.common import NameRef, Resources, SecretKeyRef
from rag_operator.api.formats import DataKey, ObjectName, Quantity
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.tenant import RagTenant
from rag_runtime.contract.proxies import LOGIN, PASSWORD, USERNAME, Proxies

Manifest: TypeAlias = dict[str, Any]
Resource: TypeAlias = RagPipeline | RagTenant

OUR_USER = 65532
"""User and group of the images of operator and runtime."""
SERVICE_USER = 999
"""User and group of the public images of Postgres, pgvector and Redis."""

KEYS_FOLDER = PurePosixPath("/etc/rag/keys")
"""Where pods see keys of Secrets as files."""
READ_ONLY_MODE = 0o444
"""Of files from Secrets and ConfigMaps. They belong to root, and the pods of tenants have no fsGroup: on a tenant's
own volume it would change the owner of every file."""
_DECIMAL_UNITS = ("m", "", "k", "M", "G", "T", "P", "E")
_LARGEST = 2**63 - 1
_BINARY_UNITS = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_WITHIN = ("localhost", "127.0.0.1", "::1", ".svc", ".cluster.local")
"""Names within the pod and the cluster. Names without a dot are direct to our clients without being listed."""
GRACE_SECONDS = 30
"""What running work gets when a pod ends."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """The way out of the cluster: addresses of proxies, empty for none, hosts that are reached directly, and the name
    of the Secret with the proxies' login, empty for none. Pods have it from their own namespace."""

    https: str = ""
    http: str = ""
    direct: tuple[str, ...] = ()
    secret: str = ""

    def environment(self) -> list[Manifest]:
        """The variables that clients read; none where there is no proxy. What lies in the cluster is direct."""
        return [{"name": name, "value": value} for name, value in self._variables().items()]

    def login_keys(self) -> tuple[SecretKeyRef, ...]:
        """The keys of the login's Secret, for `keys.key_volumes`; none where proxies ask for none."""
        if LOGIN not in self._variables():
            return ()
        name = ObjectName(self.secret)
        return tuple(SecretKeyRef(name=name, key=DataKey(key)) for key in (USERNAME, PASSWORD))

    def needs_login(self, urls: Iterable[str]) -> bool:
        """Whether pods that call these need the login: read as the pods read it."""
        way = Proxies.of(self._variables())
        return way.login is not None and any(way.for_url(url) for url in urls)

    def _variables(self) -> dict[str, str]:
        if not (self.https or self.http):
            return {}
        direct = ",".join(dict.fromkeys((*_WITHIN, *self.direct)))
        login = str(KEYS_FOLDER / self.secret) if self.secret else ""
        values = {"HTTPS_PROXY": self.https, "HTTP_PROXY": self.http, "NO_PROXY": direct, LOGIN: login}
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class Release:
    """What this operator was released with: its version, the images of what it runs, how they are pulled, and through
    which proxy pods reach the world."""

    version: str
    runtime_image: str
    postgres_image: str
    redis_image: str
    pull_policy: str
    pull_secrets: tuple[str, ...] = ()
    proxy: Proxy = Proxy()


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where a Postgres is, without a login. `ca` is the PEM bundle that its certificate is checked with."""

    host: str
    port: int
    dbname: str
    sslmode: str
    ca: str | None = None


def owner_reference(resource: Resource) -> Manifest:
    """The controlling owner: its deletion deletes the child, after the owner's finalizers."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": resource.metadata.name,
        "uid": resource.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pipeline_metadata(pipeline: RagPipeline, name: str, component: str) -> Manifest:
    """Metadata of a pipeline's child."""
    return _metadata(pipeline, name, names.pipeline_labels(pipeline.metadata.name, component))


def tenant_metadata(tenant: RagTenant, name: str, component: str) -> Manifest:
    """Metadata of a tenant's child."""
    return _metadata(tenant, name, tenant_labels(tenant, component))


def tenant_labels(tenant: RagTenant, component: str) -> dict[str, str]:
    """Labels of a tenant's children and of their pods."""
    labels = names.tenant_labels(str(tenant.spec.pipeline_ref.name), tenant.metadata.name, component)
    return labels | ({names.LABEL_PIPELINE_NAMESPACE: tenant.pipeline_namespace} if tenant.is_guest else {})


def guest_selector(pipeline: RagPipeline) -> dict[str, str]:
    """Selects the ingestion pods of the pipeline's tenants in other namespaces than its own."""
    own = names.pipeline_selector(pipeline.metadata.name, names.COMPONENT_INGEST)
    return own | {names.LABEL_PIPELINE_NAMESPACE: pipeline.metadata.namespace}


def _metadata(owner: Resource, name: str, labels: dict[str, str]) -> Manifest:
    return {
        "name": name,
        "namespace": owner.metadata.namespace,
        "labels": labels,
        "ownerReferences": [owner_reference(owner)],
    }


def secret(metadata: Manifest, data: Mapping[str, str]) -> Manifest:
    """A Secret. `data`, because server-side apply never removes a key that was once applied as `stringData`."""
    encoded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": encoded}


def database_files(database: DatabaseAddress, logins: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """The files of a database folder: address, and user name and password of each login by its stem."""
    files = {
        "host": database.host,
        "port": str(database.port),
        "dbname": database.dbname,
        "sslmode": database.sslmode,
    }
    if database.ca is not None:
        files["ca"] = database.ca
    for stem, (username, password) in logins.items():
        files |= {f"{stem}.username": username, f"{stem}.password": password}
    return files


def pod_security(user: int, *, own_volumes: bool) -> Manifest:
    """Security context of a pod as the restricted standard asks; `own_volumes`: its volumes become the user's."""
    context: Manifest = {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if own_volumes:
        context |= {"fsGroup": user, "fsGroupChangePolicy": "OnRootMismatch"}
    return context


def container_security() -> Manifest:
    """Security context of a container as the restricted standard asks, with a read-only root besides."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def resources(given: Resources, defaults: Resources) -> Manifest:
    """The given requests and limits, and the defaults where nothing is given.

    A default yields where it would contradict what is given: a default limit is raised to a larger request, a default
    request lowered to a smaller limit.
    """
    requests = dict(defaults.requests) | dict(given.requests)
    limits = dict(defaults.limits) | dict(given.limits)
    for name in requests.keys() & limits.keys():
        if requests[name].value > limits[name].value:
            if name in given.limits and name not in given.requests:
                requests[name] = limits[name]
            elif name not in given.limits:
                limits[name] = requests[name]
    result: Manifest = {"requests": _plain(requests), "limits": _plain(limits)}
    return {part: amounts for part, amounts in result.items() if amounts}


def _plain(amounts: Mapping[str, Quantity]) -> dict[str, str]:
    return {name: canonical(amount) for name, amount in sorted(amounts.items())}


def canonical(quantity: Quantity) -> str:
    """The quantity as the API server writes it, so that what is read back equals what was applied.

    No fraction, and the largest unit that allows it; decimal where bytes are fewer than 1024 or not whole; of binary
    units no more than 64 bits hold (apimachinery's `resource.Quantity`).
    """
    value = Fraction(quantity.value)
    if quantity.endswith("i"):
        value = min(value, Fraction(_LARGEST))
    binary = quantity.endswith("i") and value >= 1024 and value.denominator == 1
    base, units = (1024, _BINARY_UNITS) if binary else (1000, _DECIMAL_UNITS)
    # Decimal ones start at thousandths: amounts of resources are rounded up to those.
    number, unit = int(value) if binary else ceil(value * 1000), 0
    while number and unit < len(units) - 1 and number % base == 0:
        number, unit = number // base, unit + 1
    return f"{number}{units[unit] if number else ''}"


def amounts(cpu: str, memory: str, memory_limit: str) -> Resources:
    """Defaults of one kind of pod. No CPU limit: it would throttle while the node idles."""
    return Resources(
        requests={"cpu": Quantity(cpu), "memory": Quantity(memory)}, limits={"memory": Quantity(memory_limit)}
    )


def empty_dir(name: str, size: str, *, memory: bool = False) -> Manifest:
    """A volume that lives as long as the pod; in memory it counts against the container's limit."""
    return {"name": name, "emptyDir": {"sizeLimit": size} | ({"medium": "Memory"} if memory else {})}


def secret_volume(name: str, secret_name: str, keys: Iterable[str] = (), *, optional: bool = False) -> Manifest:
    """A volume with the keys of a Secret as files; all keys where none is named."""
    source: Manifest = {"secretName": secret_name, "defaultMode": READ_ONLY_MODE, "optional": optional}
    if items := [{"key": key, "path": key} for key in sorted(keys)]:
        source["items"] = items
    return {"name": name, "secret": source}


def config_map_volume(name: str, config_map: str, keys: Iterable[str] = (), *, optional: bool = False) -> Manifest:
    """A volume with the keys of a ConfigMap as files; all keys where none is named."""
    source: Manifest = {"name": config_map, "defaultMode": READ_ONLY_MODE, "optional": optional}
    if items := [{"key": key, "path": key} for key in sorted(keys)]:
        source["items"] = items
    return {"name": name, "configMap": source}


def mount(name: str, path: str, *, read_only: bool = True) -> Manifest:
    """Where a volume is seen. The API server drops a `readOnly` that is false, so it is left out."""
    return {"name": name, "mountPath": path} | ({"readOnly": True} if read_only else {})


def pod(user: int, container: Manifest, volumes: Sequence[Manifest], *, own_volumes: bool) -> Manifest:
    """A pod's spec with one container, without a service account's token and without Services as variables."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(user, own_volumes=own_volumes),
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "containers": [{**container, "securityContext": container_security()}],
        "volumes": list(volumes),
    }


def pull_secrets(release: Release, more: Iterable[NameRef] = ()) -> Manifest:
    """The part of a pod's spec that names the Secrets for pulling its image: the release's, which every pod gets, and
    `more` where a pipeline names an image of its own. The kubelet passes over one that isn't there."""
    found = dict.fromkeys([*release.pull_secrets, *(str(ref.name) for ref in more)])
    return {"imagePullSecrets": [{"name": name} for name in found]} if found else {}


def runtime_image(pipeline: RagPipeline, release: Release) -> str:
    """Image of query and ingestion pods."""
    return pipeline.spec.query.image or release.runtime_image


def runtime_environment(release: Release) -> list[Manifest]:
    """Variables of query and ingestion pods."""
    name = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}
    return [name, *release.proxy.environment()]


def spread(selector: Mapping[str, str]) -> list[Manifest]:
    """Soft spreading over nodes and zones; the pods of each rollout by themselves."""
    constraint: Manifest = {
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": dict(selector)},
        "matchLabelKeys": ["pod-template-hash"],
    }
    return [{**constraint, "topologyKey": key} for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")]


def secret_versions(versions: Mapping[str, str]) -> str:
    """The value of the annotation that rolls pods when a Secret changes: names and versions, nothing of the content."""
    return ",".join(f"{name}={version}" for name, version in sorted(versions.items()))


def versions_of(text: str) -> dict[str, str]:
    """What `secret_versions` was made of."""
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


def name_of(pipeline: RagPipeline) -> str:
    """The pipeline's name."""
    return pipeline.metadata.name


def service_host(service: str, namespace: str) -> str:
    """A Service's name within the cluster, as `names.query_endpoint` writes it."""
    return f"{service}.{namespace}.svc"


def http_probe(path: str, period: int, failures: int, timeout: int = 2) -> Manifest:
    """A probe of the container's port called http. Kubernetes' defaults are written out, as read-back shows them."""
    return {
        "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": timeout,
    }
