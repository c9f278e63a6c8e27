"""The ServiceAccounts of a pipeline's pods: made where a cloud is to know them, stripped where it no longer is."""

from __future__ import annotations

from rag_operator.api.names import FIELD_MANAGER_PIPELINE
from rag_operator.api.pipeline import RagPipeline
from rag_operator.build import pods
from rag_operator.kube.apply import apply_child, owned_child
from rag_operator.kube.client import Api
from rag_operator.kube.kinds import SERVICE_ACCOUNT


async def bring_accounts(api: Api, pipeline: RagPipeline) -> None:
    """Before the pods that name them, which the API server would refuse."""
    meta = pipeline.metadata
    for account in pods.service_accounts(pipeline):
        name = account["metadata"]["name"]
        if pods.is_wanted(account) or await owned_child(api, SERVICE_ACCOUNT, meta.namespace, name, meta.uid):
            await apply_child(api, account, FIELD_MANAGER_PIPELINE)
