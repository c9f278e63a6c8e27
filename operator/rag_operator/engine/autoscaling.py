"""Who owns the number of query pods, and how it goes from one hand into another without falling.

Server-side apply removes a field that its last owner leaves out, and a Deployment without `replicas` has one. So before
our manifest leaves it out, another field manager of ours holds the number until an autoscaler writes it. What must not
be there goes before what takes its place comes: never an autoscaler of ours beside KEDA's.
"""

from __future__ import annotations

from rag_operator.api import names, resolve
from rag_operator.api.conditions import Reason
from rag_operator.api.names import FIELD_MANAGER_PIPELINE, FIELD_MANAGER_REPLICAS
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.scaling import FIGURES
from rag_operator.build import scaling as build
from rag_operator.decide.checks import Check
from rag_operator.decide.scaling import Cluster, Plan, Scaler, plan
from rag_operator.engine.context import Context
from rag_operator.engine.optional import bring_optional
from rag_operator.engine.refusals import OF_AN_EXTRA, refusal
from rag_operator.kube.apply import apply_child, delete_child
from rag_operator.kube.client import Object
from rag_operator.kube.kinds import DEPLOYMENT, HPA, SCALED_OBJECT


async def planned(context: Context, pipeline: RagPipeline) -> Plan:
    """Who scales this pipeline, given what the cluster has."""
    replicas = resolve.replicas(pipeline.spec.scaling)
    if any(metric.type in FIGURES for metric in replicas.metrics):
        await context.discovery.asked()
    prometheus = pipeline.spec.observability.prometheus
    cluster = Cluster(
        keda=context.discovery.serves(SCALED_OBJECT),
        figures=context.discovery.figures(),
        prometheus=str(prometheus.address) if prometheus else None,
    )
    return plan(replicas, cluster)


async def replicas_for(context: Context, pipeline: RagPipeline, chosen: Plan, live: Object | None) -> int | None:
    """What the Deployment's manifest says of replicas; None: it leaves them to whom they belong.

    Takes away what scales and shall no more; where the spec gives the number up, somebody holds it from here on.
    """
    await _retire(context, pipeline, chosen)
    replicas = resolve.replicas(pipeline.spec.scaling)
    if replicas.fixed is not None:
        return replicas.fixed
    if live is None:
        return replicas.minimum
    present = int(live["spec"].get("replicas", 1))
    too_few = present < replicas.minimum and chosen.scaler is Scaler.NOBODY
    if too_few or _owners(live) == {FIELD_MANAGER_PIPELINE}:
        await _hold(context, live, max(present, replicas.minimum))
    return None


async def bring_autoscaler(context: Context, pipeline: RagPipeline, chosen: Plan) -> Check:
    """What shall scale, once nothing else does. What the API server refuses stops nothing else."""
    api, meta = context.api, pipeline.metadata
    name = names.query(meta.name)
    try:
        if chosen.scaler is Scaler.HPA:
            if context.discovery.serves(SCALED_OBJECT) is not False:
                other = await api.get(SCALED_OBJECT, meta.namespace, name)
                if other is not None:
                    return _in_the_way(other, meta.uid)
            await apply_child(api, build.query_hpa(pipeline, chosen.metrics), FIELD_MANAGER_PIPELINE)
        elif chosen.scaler is Scaler.KEDA:
            other = await api.get(HPA, meta.namespace, name)
            if other is not None:
                return _in_the_way(other, meta.uid)
            prometheus = pipeline.spec.observability.prometheus
            assert prometheus is not None, "by the plan"
            manifest = build.scaled_object(pipeline, chosen.metrics, str(prometheus.address))
            await bring_optional(context, pipeline, SCALED_OBJECT, manifest)
    except OF_AN_EXTRA as refused:
        return refusal(refused)
    return chosen.check


async def _retire(context: Context, pipeline: RagPipeline, chosen: Plan) -> None:
    meta = pipeline.metadata
    if chosen.scaler is Scaler.AS_IT_IS:
        return
    if chosen.scaler is not Scaler.HPA:
        await delete_child(context.api, HPA, meta.namespace, names.query(meta.name), meta.uid)
    if chosen.scaler is not Scaler.KEDA:
        await bring_optional(context, pipeline, SCALED_OBJECT, None)


def _in_the_way(other: Object, uid: str) -> Check:
    name = f"{other['kind']} {other['metadata']['namespace']}/{other['metadata']['name']}"
    if uid in {owner["uid"] for owner in other["metadata"].get("ownerReferences", [])}:
        return Check(None, Reason.WAITING, f"{name} is being taken away")
    return Check(False, Reason.NAME_TAKEN, f"{name} exists and is not ours: rename or delete it")


async def _hold(context: Context, live: Object, number: int) -> None:
    """Own `replicas` beside our manifest; the resourceVersion guards against an autoscaler that was faster."""
    meta = live["metadata"]
    held = {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.kind,
        "metadata": {key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion")},
        "spec": {"replicas": number},
    }
    await context.api.apply(DEPLOYMENT, held, FIELD_MANAGER_REPLICAS)


def _owners(live: Object) -> set[str]:
    """Field managers that own the number of replicas."""
    return {
        str(entry["manager"])
        for entry in live["metadata"].get("managedFields", [])
        if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
    }
