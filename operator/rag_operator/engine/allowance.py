"""Tenants in another namespace than their pipeline's: whether it takes them, and closing those no longer taken.

Both are read anew at each look, from a quorum. What the pipeline is, and whether it is there at all, stays unsaid to
namespaces that it does not allow.
"""

from __future__ import annotations

import logging

from pydantic import ValidationError

from rag_operator.api.conditions import Reason
from rag_operator.api.tenancy import NamespacesFrom, Tenancy, TenantNamespaces
from rag_operator.decide.checks import Check
from rag_operator.decide.tenancy import allows
from rag_operator.engine.closing import shut
from rag_operator.engine.context import Context
from rag_operator.engine.deletion import stop_ingestion
from rag_operator.engine.queue import Key, pipeline_key
from rag_operator.kube.client import Object
from rag_operator.kube.kinds import NAMESPACE, PIPELINE
from rag_operator.stores.errors import StoreProblem, StoreTrouble

log = logging.getLogger(__name__)


async def not_allowed(context: Context, tenant: Key, pipeline: Key) -> Check | None:
    """Why the tenant may not use the pipeline that it names; None where it may, or lives beside it."""
    home, own = pipeline.namespace, tenant.namespace
    if home == own:
        return None
    if not context.settings.watches(home):
        message = (
            f"spec.pipelineRef.namespace: the operator does not watch namespace {home}: add it to watchNamespaces of "
            "the operator's chart"
        )
        return Check(False, Reason.NAMESPACE_NOT_WATCHED, message)
    live = await context.api.get(PIPELINE, home, pipeline.name)
    if live is not None and await _allows(context, live, own):
        return None
    message = (
        f"spec.pipelineRef: RagPipeline {home}/{pipeline.name} does not exist, or takes no tenants of namespace {own}: "
        "ask those who run it to allow this namespace by its spec.tenancy.namespaces"
    )
    return Check(False, Reason.NOT_ALLOWED_BY_PIPELINE, message)


async def _allows(context: Context, pipeline: Object, namespace: str) -> bool:
    try:
        namespaces = Tenancy.model_validate(pipeline["spec"].get("tenancy") or {}).namespaces
    except ValidationError:
        namespaces = TenantNamespaces()
    if namespaces.from_ is not NamespacesFrom.SELECTOR:
        return allows(namespaces, {})
    live = await context.api.get(NAMESPACE, None, namespace)
    if live is not None:
        context.labels.read(live["metadata"])
    return live is not None and allows(namespaces, live["metadata"].get("labels") or {})


async def close(context: Context, key: Key, live: Object) -> bool:
    """Close a tenant that its pipeline no longer takes, and keep its data; True when nothing is left to do.

    Keys are refused, the ingestion login is shut, CronJob and Jobs go. Neither finalizer nor status says whether there
    is anything to close: an uninstall takes the one, and both are gone where all was applied anew beside its catalog.
    """
    why = "the pipeline no longer takes tenants of this namespace; the data stay"
    try:
        await shut(context, pipeline_key(live), live, why)
        closed = True
    except (StoreProblem, StoreTrouble) as trouble:
        log.warning("%s can't be closed yet: %s", key, trouble)
        closed = False
    return await stop_ingestion(context.api, live) and closed
