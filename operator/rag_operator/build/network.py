"""NetworkPolicies of a pipeline's pods: who reaches them and what they reach.

They hold where the cluster's network enforces them, and only add to what other policies allow: under a namespace's
default-deny they open what these pods need, and who needs more adds a policy of their own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rag_operator.api import names, resolve
from rag_operator.api.pipeline import RagPipeline, RagPipelineSpec
from rag_operator.api.tenancy import NamespacesFrom
from rag_operator.api.tenant import RagTenant
from rag_operator.build import cache, common, postgres
from rag_operator.build.common import Manifest, Proxy
from rag_runtime.contract.config import EmbeddingProfile

_LINK_LOCAL = {"0.0.0.0/0": ("169.254.0.0/16",), "::/0": ("fe80::/10", "fd00:ec2::254/128")}
"""Clouds answer with a node's credentials there."""
_NOT_PUBLIC = {
    "0.0.0.0/0": ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
    "::/0": ("fc00::/7", "fe80::/10"),
}
_WEB_PORTS = (80, 443)
_ANY_POD: Manifest = {"namespaceSelector": {}}


@dataclass(frozen=True, slots=True)
class NetworkInputs:
    """What the policies need to know beside the spec.

    `operator` is the namespace that the operator runs in. `database_port` and `cache_port` are those of the Secrets;
    `endpoints` are the addresses of models, also of those that only older revisions still answer with;
    `proxy` is the pods' way out.
    """

    operator: str
    database_port: int
    cache_port: int
    endpoints: tuple[str, ...] = ()
    proxy: Proxy = field(default_factory=Proxy)


def network_policies(pipeline: RagPipeline, inputs: NetworkInputs) -> dict[str, Manifest | None]:
    """The policies by name; None where there should be none."""
    name = common.name_of(pipeline)
    managed_database = pipeline.spec.database.managed is not None
    policies = {
        names.query(name): _query(pipeline, inputs),
        names.ingest_policy(name): _ingest(pipeline, inputs),
        names.cache(name): _cache(pipeline, inputs) if resolve.managed_cache(pipeline.spec) else None,
        names.postgres(name): _postgres(pipeline, inputs) if managed_database else None,
    }
    enabled = pipeline.spec.access.network_policy.enabled
    return {policy: manifest if enabled else None for policy, manifest in policies.items()}


def guest_policy(pipeline: RagPipeline, tenant: RagTenant, inputs: NetworkInputs) -> Manifest | None:
    """The policy of the ingestion pods of a tenant in another namespace, where its pipeline's doesn't hold."""
    if not pipeline.spec.access.network_policy.enabled:
        return None
    name = names.ingest(tenant.metadata.name)
    metadata = common.tenant_metadata(tenant, name, names.COMPONENT_INGEST)
    pods = common.guest_selector(pipeline) | {names.LABEL_TENANT: tenant.metadata.name}
    return _policy(metadata, {"matchLabels": pods}, [], _ingest_egress(pipeline, inputs, guest=True))


def endpoints(spec: RagPipelineSpec, profiles: Iterable[EmbeddingProfile]) -> tuple[str, ...]:
    """Addresses of every model that the pods may ask: of the spec, and of revisions with a profile of their own."""
    declared = [spec.embedding.endpoint, *(model.endpoint for model in spec.llm.models or ())]
    former = [profile.endpoint for profile in profiles]
    urls = {str(endpoint.base_url) for endpoint in (*declared, *former) if endpoint}
    return tuple(sorted(urls))


def _port_of(url: str) -> int:
    place = urlsplit(url)
    return place.port or (443 if place.scheme == "https" else 80)


def _query(pipeline: RagPipeline, inputs: NetworkInputs) -> Manifest:
    allowed = pipeline.spec.access.network_policy.allow_from
    clients = [{"podSelector": {}}] if allowed is None else [peer.to_dict() for peer in allowed]
    egress = [_DNS, *_stores(pipeline, with_cache=True)]
    outside = _outside(pipeline, inputs, with_cache=True)
    if ports := outside | _models(inputs):
        egress.append({"to": _anywhere_but(_LINK_LOCAL), "ports": _tcp(ports)})
    ingress = [{"from": clients, "ports": _tcp([names.QUERY_PORT])}]
    return _own_policy(pipeline, names.query(common.name_of(pipeline)), names.COMPONENT_QUERY, ingress, egress)


def _ingest(pipeline: RagPipeline, inputs: NetworkInputs) -> Manifest:
    """For the pods of all tenants here: what sources may lead to is said for the pipeline."""
    name = common.name_of(pipeline)
    metadata = common.pipeline_metadata(pipeline, names.ingest_policy(name), names.COMPONENT_INGEST)
    return _policy(metadata, _ingest_pods(pipeline), [], _ingest_egress(pipeline, inputs, guest=False))


def _ingest_egress(pipeline: RagPipeline, inputs: NetworkInputs, *, guest: bool) -> list[Manifest]:
    stores = _stores(pipeline, with_cache=False)
    if guest:
        stores = [
            rule | {"to": [_namespace(pipeline.metadata.namespace) | peer for peer in rule["to"]]} for rule in stores
        ]
    egress = [_DNS, *stores, {"to": _anywhere_but(_NOT_PUBLIC)[1:]}]
    opened = _ports_opened(pipeline.spec.ingestion.sources.allowed_hosts)
    outside = _outside(pipeline, inputs, with_cache=False)
    if ports := outside | opened | _models(inputs) | _proxies(inputs):
        egress.append({"to": _anywhere_but(_LINK_LOCAL), "ports": _tcp(ports)})
    return egress


def _cache(pipeline: RagPipeline, inputs: NetworkInputs) -> Manifest:
    callers = [_our_pods(pipeline, names.COMPONENT_QUERY), _operator(inputs)]
    ingress = [{"from": callers, "ports": _tcp([cache.PORT])}]
    return _own_policy(pipeline, names.cache(common.name_of(pipeline)), names.COMPONENT_CACHE, ingress, [])


def _postgres(pipeline: RagPipeline, inputs: NetworkInputs) -> Manifest:
    ours = [_our_pods(pipeline, names.COMPONENT_QUERY), {"podSelector": _ingest_pods(pipeline)}]
    ingress = [{"from": [*ours, *_guests(pipeline), _operator(inputs)], "ports": _tcp([postgres.PORT])}]
    return _own_policy(pipeline, names.postgres(common.name_of(pipeline)), names.COMPONENT_POSTGRES, ingress, [])


def _guests(pipeline: RagPipeline) -> list[Manifest]:
    """Ingestion pods of tenants in the other namespaces that the pipeline allows."""
    namespaces = pipeline.spec.tenancy.namespaces
    if namespaces.from_ is NamespacesFrom.SAME:
        return []
    chosen = namespaces.selector.to_dict() if namespaces.selector else {}
    return [{"namespaceSelector": chosen, "podSelector": {"matchLabels": common.guest_selector(pipeline)}}]


_DNS: Manifest = {"ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]}
"""Anywhere, since a node's own resolver may have a link-local address."""


def _stores(pipeline: RagPipeline, *, with_cache: bool) -> list[Manifest]:
    """Egress to the stores that the operator runs."""
    rules = []
    if pipeline.spec.database.managed is not None:
        rules.append({"to": [_our_pods(pipeline, names.COMPONENT_POSTGRES)], "ports": _tcp([postgres.PORT])})
    if with_cache and resolve.managed_cache(pipeline.spec):
        rules.append({"to": [_our_pods(pipeline, names.COMPONENT_CACHE)], "ports": _tcp([cache.PORT])})
    return rules


def _models(inputs: NetworkInputs) -> set[int]:
    """Ports of the models' endpoints, and of the proxies that lead to them."""
    return {_port_of(url) for url in inputs.endpoints} | (_proxies(inputs) if inputs.endpoints else set())


def _proxies(inputs: NetworkInputs) -> set[int]:
    return {_port_of(url) for url in (inputs.proxy.https, inputs.proxy.http) if url}


def _outside(pipeline: RagPipeline, inputs: NetworkInputs, *, with_cache: bool) -> set[int]:
    """Ports of the stores that are the user's own."""
    ports = set()
    if pipeline.spec.database.managed is None:
        ports.add(inputs.database_port)
    if with_cache and not resolve.managed_cache(pipeline.spec):
        ports.add(inputs.cache_port)
    return ports


def _ports_opened(allowed_hosts: Iterable[str]) -> set[int]:
    """Ports of hosts that are listed by their full name, which may then be private ones."""
    ports: set[int] = set()
    for host in allowed_hosts:
        if not host.startswith("*."):
            _, _, port = host.partition(":")
            ports |= {int(port)} if port else set(_WEB_PORTS)
    return ports


def _own_policy(
    pipeline: RagPipeline, name: str, component: str, ingress: list[Manifest], egress: list[Manifest]
) -> Manifest:
    metadata = common.pipeline_metadata(pipeline, name, component)
    return _policy(metadata, _our_pods(pipeline, component)["podSelector"], ingress, egress)


def _policy(metadata: Manifest, pods: Manifest, ingress: list[Manifest], egress: list[Manifest]) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {
            "podSelector": pods,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        },
    }


def _ingest_pods(pipeline: RagPipeline) -> Manifest:
    """Those of the pipeline's namespace, without guests of a pipeline of the same name elsewhere."""
    guest = {"key": names.LABEL_PIPELINE_NAMESPACE, "operator": "DoesNotExist"}
    own = names.pipeline_selector(common.name_of(pipeline), names.COMPONENT_INGEST)
    return {"matchLabels": own, "matchExpressions": [guest]}


def _our_pods(pipeline: RagPipeline, component: str) -> Manifest:
    return {"podSelector": {"matchLabels": names.pipeline_selector(common.name_of(pipeline), component)}}


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _operator(inputs: NetworkInputs) -> Manifest:
    return {
        **_namespace(inputs.operator),
        "podSelector": {"matchLabels": {names.LABEL_NAME: names.MANAGED_BY}},
    }


def _anywhere_but(excepted: Mapping[str, tuple[str, ...]]) -> list[Manifest]:
    """Every pod (some networks count no pod among the addresses) and every address but those."""
    blocks = [{"ipBlock": {"cidr": cidr, "except": list(without)}} for cidr, without in excepted.items()]
    return [_ANY_POD, *blocks]


def _tcp(ports: Iterable[int]) -> list[Manifest]:
    return [{"port": port, "protocol": "TCP"} for port in sorted(set(ports))]
