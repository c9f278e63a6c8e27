"""What the watches told: which tenants belong to which pipeline and how they are, a few bytes a tenant."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rag_operator.api.conditions import ConditionType, Reason
from rag_operator.api.pipeline_status import TenantCounts
from rag_operator.engine.census import Census
from rag_operator.engine.queue import Key, pipeline_key

REFUSED = (Reason.NOT_ALLOWED_BY_PIPELINE, Reason.NAMESPACE_NOT_WATCHED)
_PERSONS = ("uid", "generation", "labels", "annotations", "deletionTimestamp")
"""What shows in an object's metadata that another than this process has changed it."""


@dataclass(frozen=True, slots=True)
class TenantSummary:
    """One tenant, as its pipeline counts it."""

    pipeline: Key
    ready: bool
    updating: bool
    failed: bool
    refused: bool
    """Its pipeline does not take it."""


class Registry:
    """Resources known by the watches and the resync, with the resourceVersion last delivered for each."""

    def __init__(self) -> None:
        self.tenants: dict[Key, TenantSummary] = {}
        self.pipelines: set[Key] = set()
        self.delivered: dict[Key, str] = {}
        self.census = Census()
        self._written: dict[Key, str] = {}
        self._guests: dict[str, set[Key]] = {}
        self._leaving: dict[Key, str] = {}

    def observe(self, key: Key, body: dict[str, Any]) -> bool:
        """Take in what a watch delivered; True when its pipeline's counts may have changed."""
        self.delivered[key] = body["metadata"]["resourceVersion"]
        return self.take_in(key, body)

    def wrote(self, key: Key, read: dict[str, Any], written: dict[str, Any]) -> None:
        """This process has written the object that it had read: the watch's news of that asks for no further look.

        Unless what stands now has what was not read: another's change may have come between, and its own event may be
        lost, or merged with ours.
        """
        if all(read["metadata"].get(name) == written["metadata"].get(name) for name in _PERSONS):
            self._written[key] = written["metadata"]["resourceVersion"]

    def is_echo(self, key: Key, body: dict[str, Any]) -> bool:
        """Whether a watch delivers just what this process wrote."""
        return bool(self._written.get(key) == body["metadata"]["resourceVersion"])

    def behind(self, key: Key, version: str) -> bool:
        """Whether the watch has not delivered this version yet."""
        have = self.delivered.get(key)
        return have is None or (have.isdigit() and version.isdigit() and int(have) < int(version))

    def knows(self, key: Key) -> bool:
        """Whether the object is there, as far as is known."""
        return key in self.pipelines or key in self.tenants

    def known(self) -> dict[Key, str | None]:
        """All that is there, as far as is known, and the version that a watch delivered last of each."""
        return {key: self.delivered.get(key) for key in (*self.pipelines, *self.tenants)}

    def vanished(self, before: Mapping[Key, str | None], listed: Container[Key]) -> list[Key]:
        """What a list lacks of all that was known before it, and of which no watch has told since: it may be older."""
        return [key for key, version in self.known().items() if key not in listed and (key, version) in before.items()]

    def take_in(self, key: Key, body: dict[str, Any]) -> bool:
        """Remember an object, wherever it was read; True when its pipeline's counts may have changed."""
        self.census.take_in(key, body)
        if key.kind == "pipeline":
            self.pipelines.add(key)
            return False
        summary = _summary(body)
        changed = self.tenants.get(key) != summary
        self.tenants[key] = summary
        self._leaving.pop(key, None)
        if body["metadata"].get("deletionTimestamp"):
            self._leaving[key] = body["metadata"]["uid"]
        if summary.pipeline.namespace != key.namespace:
            self._guests.setdefault(key.namespace, set()).add(key)
        return changed

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self.delivered.pop(key, None)
        self._written.pop(key, None)
        self._leaving.pop(key, None)
        self.census.forget(key)
        self.pipelines.discard(key)
        self.tenants.pop(key, None)
        if key.kind == "tenant" and key.namespace in self._guests:
            self._guests[key.namespace].discard(key)

    def found_gone(self, key: Key, delivered: str | None) -> bool:
        """A look found nothing, and began when a watch had `delivered` this version last: forget it; True if done so.

        Where a watch has told since, it may be another one of that name.
        """
        known = self.knows(key) and self.delivered.get(key) == delivered
        if known:
            self.forget(key)
        return known

    def leaving(self, tenant: Key) -> str | None:
        """The uid of a tenant that is being deleted, as far as is known."""
        return self._leaving.get(tenant)

    def guests_in(self, namespace: str) -> tuple[Key, ...]:
        """The tenants of a namespace whose pipeline is in another."""
        return tuple(self._guests.get(namespace, ()))

    def has_guests(self) -> bool:
        """Whether any tenant lives in another namespace than its pipeline."""
        return any(self._guests.values())

    def tenants_of(self, pipeline: Key) -> Iterator[Key]:
        """The tenants that name this pipeline."""
        for key, summary in list(self.tenants.items()):
            if summary.pipeline == pipeline:
                yield key

    def pipeline_of(self, tenant: Key) -> Key | None:
        """The pipeline that the tenant names."""
        summary = self.tenants.get(tenant)
        return summary.pipeline if summary else None

    def lane(self, key: Key) -> Key:
        """Whose work waits in one line: tenants of one pipeline, so of one database; each pipeline by itself.

        The lane of tenants bears the pipeline's name and their kind, so that a pipeline never waits for its tenants.
        """
        pipeline = self.pipeline_of(key) if key.kind == "tenant" else None
        return Key("tenant", pipeline.namespace, pipeline.name) if pipeline else key

    def counts(self, pipeline: Key) -> TenantCounts:
        """How many of the pipeline's tenants are in which state; those that it doesn't take are none of them."""
        mine = [summary for key in self.tenants_of(pipeline) if not (summary := self.tenants[key]).refused]
        return TenantCounts(
            total=len(mine),
            ready=sum(s.ready for s in mine),
            updating=sum(s.updating for s in mine),
            failed=sum(s.failed for s in mine),
        )


def _summary(body: dict[str, Any]) -> TenantSummary:
    said = body.get("status", {}).get("conditions", [])
    conditions = {c.get("type"): c.get("status") for c in said}
    why = next((c.get("reason") for c in said if c.get("type") == ConditionType.READY), "")
    return TenantSummary(
        pipeline=pipeline_key(body),
        ready=conditions.get(ConditionType.READY) == "True",
        updating=conditions.get(ConditionType.PROGRESSING) == "True",
        failed=conditions.get(ConditionType.DEGRADED) == "True",
        refused=why in REFUSED,
    )
