"""Ingestion runs that the operator starts itself: the first, one per new configuration, and those asked for.

A run is named by what asks for it, so that a crash between two writes starts none twice. Scheduled runs are the
CronJob's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rag_operator.api import names
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.tenancy import NamespacesFrom
from rag_operator.api.tenant import RagTenant
from rag_operator.build import ingest
from rag_operator.decide.tenant import RunState, run_request
from rag_operator.engine.context import Binding, Context
from rag_operator.engine.pods import pods_trouble
from rag_operator.engine.queue import Key
from rag_operator.kube.client import Object
from rag_operator.kube.errors import ConflictError
from rag_operator.kube.kinds import JOB
from rag_operator.stores.tenants import TenantRow

LABEL_JOB = "batch.kubernetes.io/job-name"
Outcome = tuple[str, str, datetime]
RETRY_AFTER = 60.0
"""Seconds after which a failed run is started anew."""


@dataclass(frozen=True, slots=True)
class Run:
    """How the run stands that the present state asks for; `handled` is the sync request that it has answered."""

    state: RunState
    message: str = ""
    handled: str | None = None


class Runs:
    """Starts and follows runs of one tenant at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def bring(
        self,
        tenant: RagTenant,
        binding: Binding,
        inputs: ingest.IngestInputs,
        row: TenantRow,
        digest: str,
        *,
        blocked: bool,
    ) -> Run:
        """Start the run that is asked for, when it may; returns how it stands."""
        asked = tenant.metadata.annotations.get(names.ANNOTATION_SYNC_REQUESTED, "")
        handled = tenant.status.last_handled_sync_request or ""
        ingested = (row.summary.get("lastIngestion") or {}).get("config") == digest
        pending = asked if asked != handled else ""
        if ingested and not pending:
            return Run(RunState.DONE, handled=handled or None)
        if tenant.spec.suspend and not pending:
            return Run(RunState.MISSING, "spec.suspend is true")
        request = run_request(digest, pending)
        name = names.ingest_job(tenant.metadata.name, request)
        manifest = ingest.ingest_job(binding.pipeline, tenant, binding.release, inputs, request)
        job = await self._context.api.get(JOB, tenant.metadata.namespace, name)
        if job is not None:
            outcome = finished(job)
            if outcome is None:
                return await self._unfinished(job, manifest)
            return await self._ended(job, outcome, pending, handled)
        if blocked:
            return Run(RunState.MISSING, "something that it needs is missing")
        return await self._start(tenant, binding.pipeline, manifest)

    async def _ended(self, job: Object, outcome: Outcome, pending: str, handled: str) -> Run:
        kind, message, when = outcome
        if kind == "Complete":
            return Run(RunState.DONE, handled=pending or handled or None)
        if (self._context.server_now() - when).total_seconds() > RETRY_AFTER:
            await self._context.api.delete(JOB, job)
        return Run(RunState.FAILED, f"Job {job['metadata']['name']} failed: {message}; it is started anew")

    async def free(self, cron_job: Object, wanted: Object) -> bool:
        """Let scheduled runs go whose pods don't start and would be others now, since no later one starts beside them.

        True where that can't be told yet. Runs of what is `wanted`, a CronJob's manifest, are left alone.
        """
        unsure = False
        for one in cron_job.get("status", {}).get("active", []):
            job = await self._context.api.get(JOB, cron_job["metadata"]["namespace"], one["name"])
            if job is None or finished(job) or _origin(job) == _origin(wanted["spec"]["jobTemplate"]):
                continue
            await self._unfinished(job, wanted["spec"]["jobTemplate"])
            unsure = unsure or not job.get("status", {}).get("ready")
        return unsure

    async def _unfinished(self, job: Object, wanted: Object) -> Run:
        """A Job can't be changed: one whose pod doesn't start gives way once its pod would be another."""
        if job.get("status", {}).get("ready"):
            return Run(RunState.RUNNING)
        meta = job["metadata"]
        trouble = await pods_trouble(self._context, meta["namespace"], {LABEL_JOB: meta["name"]})
        if trouble and _origin(job) != _origin(wanted):
            await self._context.api.delete(JOB, job)
        return Run(RunState.STUCK, trouble) if trouble else Run(RunState.RUNNING)

    async def _start(self, tenant: RagTenant, pipeline: RagPipeline, manifest: Object) -> Run:
        key, who = Key.of(pipeline), Key.of(tenant)
        async with self._context.slot_lock(key):
            waiting = self._context.waiting.setdefault(key, {})
            running = await self._running(pipeline)
            for former in (job for job in running if _tenant(job["metadata"]) == who):
                await self._unfinished(former, manifest)
            if len(running) >= pipeline.spec.ingestion.max_concurrent_jobs:
                waiting.setdefault(who)
                return Run(
                    RunState.WAITING, "waits for a slot: spec.ingestion.maxConcurrentJobs of the pipeline are running"
                )
            waiting.pop(who, None)
            try:
                await self._context.api.create(JOB, manifest)
            except ConflictError:
                return Run(RunState.RUNNING)
        return Run(RunState.RUNNING)

    async def _running(self, pipeline: RagPipeline) -> list[Object]:
        """Unfinished runs of all the pipeline's tenants, wherever they live."""
        home = pipeline.metadata.namespace
        selector = f"{names.LABEL_PIPELINE}={pipeline.metadata.name},{names.LABEL_COMPONENT}={names.COMPONENT_INGEST}"
        places: tuple[str | None, ...] = (home,)
        if pipeline.spec.tenancy.namespaces.from_ is not NamespacesFrom.SAME:
            places = self._context.settings.watch_namespaces or (None,)
        jobs = [job for place in places for job in await self._context.api.list(JOB, place, selector)]
        return [job for job in jobs if finished(job) is None and _home(job["metadata"]) == home]


def _tenant(meta: Object) -> Key:
    """Whose run the Job is."""
    return Key("tenant", meta["namespace"], str(meta["labels"].get(names.LABEL_TENANT, "")))


def _home(meta: Object) -> str:
    """Namespace of the pipeline whose run the Job is."""
    return str(meta["labels"].get(names.LABEL_PIPELINE_NAMESPACE) or meta["namespace"])


def _origin(job: Object) -> str:
    """Of what the Job's pods are made, as a hash; empty for one of an earlier release."""
    return str(job["metadata"].get("annotations", {}).get(names.ANNOTATION_TEMPLATE, ""))


def finished(job: Object) -> Outcome | None:
    """`Complete` or `Failed` with message and time, or None while the Job goes on."""
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            when = datetime.fromisoformat(condition["lastTransitionTime"].replace("Z", "+00:00"))
            return condition["type"], str(condition.get("message", "")), when
    return None
