"""What a tenant needs in its own namespace when its pipeline lives in another.

Pods read Secrets and ConfigMaps of their own namespace only, and the operator copies none over: what the pipeline names
for ingestion pods is looked for beside the tenant, by the same names.
"""

from __future__ import annotations

from rag_operator.api import names
from rag_operator.api.conditions import Reason
from rag_operator.api.names import FIELD_MANAGER_TENANT
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.tenant import RagTenant
from rag_operator.build import authorities, config, network
from rag_operator.decide.checks import Check
from rag_operator.engine.authorities import read_authorities
from rag_operator.engine.context import Binding, Context
from rag_operator.engine.secrets import read_secret
from rag_operator.kube.apply import apply_child, delete_child
from rag_operator.kube.client import Api, Object
from rag_operator.kube.kinds import NETWORK_POLICY, SERVICE_ACCOUNT


async def missing_beside(api: Api, pipeline: RagPipeline, tenant: RagTenant) -> Check | None:
    """The first that the pipeline names and that is not in the tenant's namespace; None where all is there."""
    if not tenant.is_guest:
        return None
    namespace, spec = tenant.metadata.namespace, pipeline.spec
    keys = [(ref.name, "endpoint.secretRef", [ref.key]) for ref in config.embedding_key_refs(spec)]
    for name, field, wanted in (*keys, *((ref.name, "imagePullSecrets", []) for ref in spec.query.image_pull_secrets)):
        secret = await read_secret(api, namespace, name, field, wanted)
        if isinstance(secret, Check):
            return _of_the_pipeline(pipeline, secret)
    trusted = await read_authorities(api, namespace, authorities.of_ingestion(spec))
    if trusted.check.blocked:
        return _of_the_pipeline(pipeline, trusted.check)
    return await _missing_account(api, pipeline, namespace)


async def _missing_account(api: Api, pipeline: RagPipeline, namespace: str) -> Check | None:
    account = names.ingestion_account(pipeline.metadata.name)
    if not pipeline.spec.ingestion.pod.service_account_annotations:
        return None
    if await api.get(SERVICE_ACCOUNT, namespace, account) is not None:
        return None
    message = f"serviceAccountAnnotations: ServiceAccount {namespace}/{account} does not exist: create it, annotated"
    return _of_the_pipeline(pipeline, Check(False, Reason.SERVICE_ACCOUNT_NOT_FOUND, message))


def _of_the_pipeline(pipeline: RagPipeline, check: Check) -> Check:
    meta = pipeline.metadata
    where = f"; RagPipeline {meta.namespace}/{meta.name} names it, and pods use what is in their own namespace"
    return Check(check.ok, check.reason, check.message + where)


async def bring_policy(context: Context, tenant: RagTenant, binding: Binding) -> Object | None:
    """The NetworkPolicy of the tenant's pods where its pipeline's doesn't reach; None where there is none."""
    if not tenant.is_guest:
        return None
    pipeline, meta = binding.pipeline, tenant.metadata
    inputs = network.NetworkInputs(
        operator=context.settings.namespace,
        database_port=binding.address.port,
        cache_port=0,
        endpoints=network.endpoints(pipeline.spec, binding.profiles),
        proxy=context.settings.release.proxy,
    )
    manifest = network.guest_policy(pipeline, tenant, inputs)
    if manifest is not None:
        return await apply_child(context.api, manifest, FIELD_MANAGER_TENANT)
    await delete_child(context.api, NETWORK_POLICY, meta.namespace, names.ingest(meta.name), meta.uid)
    return None
