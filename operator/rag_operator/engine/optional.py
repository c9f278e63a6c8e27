"""Children of kinds that a cluster may have or not: made where the kind is there, and no error where it is not."""

from __future__ import annotations

import logging

from rag_operator.api import names
from rag_operator.api.names import FIELD_MANAGER_PIPELINE
from rag_operator.api.pipeline import RagPipeline
from rag_operator.build import monitors
from rag_operator.decide.checks import GOOD, Check
from rag_operator.engine.context import Context
from rag_operator.engine.refusals import OF_AN_EXTRA, refusal
from rag_operator.kube.apply import apply_child, delete_child
from rag_operator.kube.client import Object
from rag_operator.kube.errors import NotFoundError
from rag_operator.kube.kinds import PROMETHEUS_RULE, SERVICE_MONITOR, Kind

log = logging.getLogger(__name__)


async def bring_monitors(context: Context, pipeline: RagPipeline) -> Check:
    """ServiceMonitor and PrometheusRule, as the spec wants them; what the API server refuses stops nothing else."""
    try:
        await bring_optional(context, pipeline, SERVICE_MONITOR, monitors.service_monitor(pipeline))
        await bring_optional(context, pipeline, PROMETHEUS_RULE, monitors.prometheus_rule(pipeline))
    except OF_AN_EXTRA as refused:
        return refusal(refused)
    return GOOD


async def bring_optional(context: Context, pipeline: RagPipeline, kind: Kind, manifest: Object | None) -> bool:
    """Apply or take away the pipeline's child of the kind, named like the query Deployment.

    True when it stands as wanted; False where the cluster doesn't have the kind, or that isn't known yet.
    """
    meta = pipeline.metadata
    if not context.discovery.serves(kind):
        return False
    try:
        if manifest is None:
            await delete_child(context.api, kind, meta.namespace, names.query(meta.name), meta.uid)
        else:
            await apply_child(context.api, manifest, FIELD_MANAGER_PIPELINE)
    except NotFoundError:
        log.info("%s is no longer served by this cluster", kind.api_version)
        context.discovery.gone(kind)
        return False
    return True
