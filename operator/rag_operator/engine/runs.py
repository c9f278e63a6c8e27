"""Ingestion runs that the operator starts itself: the first, one per new configuration, and those asked for.

A run is named by what asks for it, so that a crash between two writes starts none twice. Scheduled runs are the
CronJob's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from rag_operator.api import names
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.tenancy import NamespacesFrom
from rag_operator.api.tenant import RagTenant
from rag_operator.build import ingest
from rag_operator.decide.tenant import RunState, run_request
from rag_operator.engine.context import Binding, Context
from rag_operator.engine.places import Places
from rag_operator.engine.pods import pods_trouble
from rag_operator.engine.queue import Key
from rag_operator.kube.client import Object
from rag_operator.kube.errors import ConflictError
from rag_operator.kube.kinds import JOB
from rag_operator.stores.tenants import TenantRow

LABEL_JOB = "batch.kubernetes.io/job-name"
Outcome = tuple[str, str, datetime]
RETRY_AFTER = 60.0
"""Seconds after which a run that failed, or did not do what it was for, is started anew."""
MOST_DOUBLED = 6
"""So often the time is doubled at most; a Job goes by itself after an hour."""


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
        self._in_vain: dict[UUID, int] = {}
        """By incarnation: how many runs in a row ended well and did not do what they were for."""

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
        last = row.summary.ended()
        ingested = last.config == digest
        pending = asked if asked != handled else ""
        if ingested:
            self._in_vain.pop(row.id, None)
        if ingested and not pending:
            return Run(RunState.DONE, handled=handled or None)
        if tenant.spec.suspend and not pending:
            return Run(RunState.MISSING, "spec.suspend is true")
        request = run_request(digest, pending)
        name = names.ingest_job(tenant.metadata.name, request)
        manifest = ingest.ingest_job(binding.pipeline, tenant, binding.release, inputs, request)
        manifest["metadata"]["annotations"][names.ANNOTATION_REPORTED_BEFORE] = began = last.started_at
        job = await self._context.api.get(JOB, tenant.metadata.namespace, name)
        if job is not None:
            outcome = finished(job)
            if outcome is None:
                await self._let_former_go(job, manifest)
                return await self._unfinished(job, manifest) or Run(RunState.RUNNING)
            if outcome[0] == "Complete" and ingested and _said(job, names.ANNOTATION_REPORTED_BEFORE) != began:
                return Run(RunState.DONE, handled=pending or handled or None)
            return await self._ended(job, outcome, row)
        if blocked:
            return Run(RunState.MISSING, "something that it needs is missing")
        return await self._start(tenant, binding.pipeline, manifest)

    async def _ended(self, job: Object, outcome: Outcome, row: TenantRow) -> Run:
        """A run that has not done what it was for goes, so that the next look starts it anew.

        It may have ended well: it left the sync to another, which read something else, or could not report. Where that
        goes on, as with a runtime that digests the same configuration otherwise, it is started less and less often.
        """
        kind, message, when = outcome
        name, well = job["metadata"]["name"], kind == "Complete"
        times = self._in_vain.get(row.id, 0) if well else 0
        if (self._context.server_now() - when).total_seconds() > RETRY_AFTER * 2**times:
            await self._context.api.delete(JOB, job)
            if well:
                self._in_vain[row.id] = min(times + 1, MOST_DOUBLED)
        if not well:
            return Run(RunState.FAILED, f"Job {name} failed: {message}; it is started anew")
        if not row.summary.ended().succeeded:
            return Run(RunState.FAILED)
        return Run(RunState.UNDONE, f"Job {name} ended, and what the spec asks for was not read; it is started anew")

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

    async def _unfinished(self, job: Object, wanted: Object) -> Run | None:
        """A Job can't be changed: one whose pod doesn't run gives way once its pod would be another; None where it did.

        It may be on its way yet, unless it was asked for by what the spec was: nobody waits for that.
        """
        if job.get("status", {}).get("ready"):
            return Run(RunState.RUNNING)
        meta = job["metadata"]
        trouble = await pods_trouble(self._context, meta["namespace"], {LABEL_JOB: meta["name"]})
        former = _said(job, names.ANNOTATION_SYNC_REQUESTED) not in ("", _said(wanted, names.ANNOTATION_SYNC_REQUESTED))
        if (trouble or former) and _origin(job) != _origin(wanted):
            await self._context.api.delete(JOB, job)
            return None
        return Run(RunState.STUCK, trouble) if trouble else Run(RunState.RUNNING)

    async def _let_former_go(self, job: Object, wanted: Object) -> None:
        """Runs that were not seen when the present one was made beside them."""
        meta = job["metadata"]
        selector = f"{names.LABEL_TENANT}={meta['labels'][names.LABEL_TENANT]}"
        for other in await self._context.api.list(JOB, meta["namespace"], selector):
            if finished(other) is None and other["metadata"]["uid"] != meta["uid"]:
                await self._unfinished(other, wanted)

    async def _start(self, tenant: RagTenant, pipeline: RagPipeline, manifest: Object) -> Run:
        """Make the Job when there is room, and no other run of the tenant: that may have read before this was asked."""
        key, who = Key.of(pipeline), Key.of(tenant)
        async with self._context.slot_lock(key):
            waiting = self._context.waiting.setdefault(key, {})
            running = await self._running(pipeline)
            for other in [job for job in running if _tenant(job["metadata"]) == who]:
                run = await self._unfinished(other, manifest)
                if run is not None:
                    waiting.pop(who, None)
                    return run
                running.remove(other)
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
        if pipeline.spec.tenancy.namespaces.from_ is NamespacesFrom.SAME:
            jobs = await self._context.api.list(JOB, home, selector)
        else:
            jobs = await Places(self._context.api, self._context.settings).list(JOB, selector)
        return [job for job in jobs if finished(job) is None and _home(job["metadata"]) == home]


def _tenant(meta: Object) -> Key:
    """Whose run the Job is."""
    return Key("tenant", meta["namespace"], str(meta["labels"].get(names.LABEL_TENANT, "")))


def _home(meta: Object) -> str:
    """Namespace of the pipeline whose run the Job is."""
    return str(meta["labels"].get(names.LABEL_PIPELINE_NAMESPACE) or meta["namespace"])


def _origin(job: Object) -> str:
    """Of what the Job's pods are made, as a hash; empty for one of an earlier release."""
    return _said(job, names.ANNOTATION_TEMPLATE)


def _said(job: Object, annotation: str) -> str:
    return str(job["metadata"].get("annotations", {}).get(annotation, ""))


def finished(job: Object) -> Outcome | None:
    """`Complete` or `Failed` with message and time, or None while the Job goes on."""
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            when = datetime.fromisoformat(condition["lastTransitionTime"])
            return condition["type"], str(condition.get("message", "")), when
    return None
