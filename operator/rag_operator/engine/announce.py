"""Writing a status, and the Events that its change is worth."""

from __future__ import annotations

import logging

from rag_operator.api.conditions import Condition, Conditions, ConditionStatus, ConditionType, find, is_true
from rag_operator.api.errors import PermanentError, TransientError
from rag_operator.api.pipeline_status import RagPipelineStatus
from rag_operator.api.tenant import RagTenantStatus
from rag_operator.decide.authorship import last_change
from rag_operator.engine import audit, metrics
from rag_operator.engine.audit import Action, Entry
from rag_operator.engine.context import Context
from rag_operator.engine.queue import key_of
from rag_operator.kube.client import Object
from rag_operator.kube.events import post_event
from rag_operator.kube.kinds import Kind
from rag_operator.kube.status import write_status

log = logging.getLogger(__name__)
Status = RagPipelineStatus | RagTenantStatus


async def write(context: Context, kind: Kind, live: Object, status: Status) -> Object:
    """The status that a reconcile ended with: `publish`, and its trouble is counted."""
    trouble = find(status.conditions, ConditionType.DEGRADED)
    if trouble is not None and trouble.status is ConditionStatus.TRUE:
        metrics.ERRORS.labels(key_of(kind, live).kind, trouble.reason).inc()
    return await publish(context, kind, live, status)


async def publish(context: Context, kind: Kind, live: Object, status: Status) -> Object:
    """Write the status where it differs, then one Event where Ready's reason changed for good or bad, or where
    something needs a person that Ready does not tell of; returns what stands."""
    old = type(status).model_validate(live.get("status", {}))
    written = await write_status(context.api, kind, live, status.to_dict())
    if written is None:
        return live
    context.registry.wrote(key_of(kind, live), live, written)
    _record_pause(context, kind, live, old.conditions, status.conditions)
    news = _news(find(old.conditions, ConditionType.READY), find(status.conditions, ConditionType.READY))
    news = news or _trouble_beside_ready(old.conditions, status.conditions)
    if news is not None:
        await tell(context, kind, live, news.reason, news.message or news.reason)
    return written


async def tell(context: Context, kind: Kind, live: Object, reason: str, message: str) -> None:
    """An Event; trouble in writing one never stops a reconcile."""
    log.info("%s: %s", reason, message, extra={"resource": f"{kind.kind} {live['metadata']['name']}"})
    try:
        about = live | {"apiVersion": kind.api_version, "kind": kind.kind}
        await post_event(context.api, about, reason, message, context.now())
    except (TransientError, PermanentError) as error:
        log.warning("an Event could not be written: %s", error)


async def tell_audited(context: Context, kind: Kind, live: Object, entry: Entry) -> None:
    """A line of the audit log, and an Event with the same word."""
    audit.record(context, kind, live, entry)
    await tell(context, kind, live, entry.action, entry.message)


def _record_pause(context: Context, kind: Kind, live: Object, old: Conditions, new: Conditions) -> None:
    before, after = is_true(old, ConditionType.PAUSED), is_true(new, ConditionType.PAUSED)
    if before != after:
        action, word = (Action.PAUSED, "stopped") if after else (Action.RESUMED, "goes on")
        changed = last_change(live, ("spec", "paused")) or last_change(live, ("spec",))
        audit.record(context, kind, live, Entry(action, f"reconcile {word}", "spec.paused", changed))


def _news(old: Condition | None, new: Condition | None) -> Condition | None:
    """Ready became true, or stopped for a reason that a person should hear."""
    if new is None or (old is not None and (old.status, old.reason) == (new.status, new.reason)):
        return None
    became_ready = new.status is ConditionStatus.TRUE and (old is None or old.status is not ConditionStatus.TRUE)
    was_ready = old is not None and old.status is ConditionStatus.TRUE
    return new if became_ready or was_ready or _needs_person(new) else None


def _trouble_beside_ready(old: Conditions, new: Conditions) -> Condition | None:
    """What has begun to degrade a resource that answers all the same, or that waits for something else."""
    before, after = find(old, ConditionType.DEGRADED), find(new, ConditionType.DEGRADED)
    if after is None or after.status is not ConditionStatus.TRUE:
        return None
    known = before is not None and (before.status, before.reason) == (after.status, after.reason)
    ready = find(new, ConditionType.READY)
    return None if known or (ready is not None and ready.reason == after.reason) else after


def _needs_person(new: Condition) -> bool:
    expected = {
        "Reconciling",
        "Starting",
        "RollingOut",
        "Waiting",
        "WaitingForSlot",
        "Ingesting",
        "BuildingIndex",
        "NotIngested",
        "PipelineNotReady",
        "NoPodsReady",
        "Deleting",
        "Suspended",
    }
    return new.status is not ConditionStatus.TRUE and new.reason not in expected
