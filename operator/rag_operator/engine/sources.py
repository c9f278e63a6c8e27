"""Whether what a tenant's sources name exists, before a pod waits for it in vain."""

from __future__ import annotations

from rag_operator.api.conditions import Reason
from rag_operator.api.tenant import RagTenant
from rag_operator.decide.checks import Check
from rag_operator.kube.client import Api
from rag_operator.kube.kinds import CLAIM, CONFIG_MAP


async def missing_source(api: Api, tenant: RagTenant) -> Check | None:
    """The first ConfigMap or claim that is not there, as a sentence; None when all are."""
    namespace = tenant.metadata.namespace
    for source in tenant.spec.sources:
        if source.config_map_ref:
            kind, name, field = CONFIG_MAP, source.config_map_ref.name, "configMapRef"
        elif source.volume:
            kind, name, field = CLAIM, source.volume.claim_ref.name, "volume.claimRef"
        else:
            continue
        if await api.get(kind, namespace, name) is None:
            message = f"source {source.name}: {field}: {kind.kind} {namespace}/{name} does not exist: create it"
            return Check(False, Reason.SOURCE_NOT_FOUND, message)
    return None
