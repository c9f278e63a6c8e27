"""What reconcilers share: the ports, the registry, and the bindings of pipelines to their databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from rag_operator.api.pipeline import RagPipeline
from rag_operator.build.common import Release
from rag_operator.engine.coalesce import Coalescing
from rag_operator.engine.namespaces import Labels
from rag_operator.engine.orphans import OrphanList
from rag_operator.engine.queue import Key, WorkQueue
from rag_operator.engine.registry import Registry
from rag_operator.engine.settings import Settings
from rag_operator.engine.settled import Settled
from rag_operator.kube.client import Api
from rag_operator.kube.discovery import Discovery
from rag_operator.stores.address import DatabaseAddress
from rag_operator.stores.database import Databases
from rag_operator.stores.errors import Superseded
from rag_operator.stores.transaction import Transaction
from rag_runtime.contract.config import EmbeddingProfile
from rag_runtime.contract.names import CatalogNames

BACK_OFF = -1.0
"""What a reconcile returns to be looked at again after its growing back-off."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A pipeline's catalog in its database, with the leader epoch under which this process may write there."""

    pipeline: RagPipeline
    address: DatabaseAddress
    catalog: CatalogNames
    epoch: int
    release: Release
    """As this pipeline runs it: its pods may run another version than the operator's."""
    declared: Mapping[str, EmbeddingProfile] = field(default_factory=dict)
    """Every profile that this pipeline's spec has had, by identity."""
    serving: frozenset[str] = frozenset()
    """Identities of those that revisions answer with: a question is embedded with the model of the revision asked."""

    @property
    def key(self) -> Key:
        """The pipeline's."""
        return Key.of(self.pipeline)

    @property
    def profiles(self) -> tuple[EmbeddingProfile, ...]:
        """The declared profiles that query pods need beside the spec's own."""
        return tuple(self.declared[identity] for identity in sorted(self.serving & self.declared.keys()))


@dataclass(slots=True)
class Context:
    """Everything with an effect that reconcilers use; time, randomness and ids are passed in."""

    settings: Settings
    api: Api
    discovery: Discovery
    databases: Databases
    queue: WorkQueue
    registry: Registry
    coalescing: Coalescing
    labels: Labels
    now: Callable[[], datetime]
    new_id: Callable[[], UUID]
    new_password: Callable[[], str]
    bindings: dict[Key, Binding] = field(default_factory=dict)
    reached: dict[Key, Binding] = field(default_factory=dict)
    """Catalogs of pipelines that can't be bound, since their spec is invalid or the database's Secret has gone, maybe
    before all else of a namespace that is being deleted: only for closing tenants."""
    incarnations: dict[UUID | None, Key] = field(default_factory=dict)
    shards: dict[Key, set[int]] = field(default_factory=dict)
    slots: dict[Key, asyncio.Lock] = field(default_factory=dict)
    settled: Settled = field(default_factory=Settled)
    orphans: OrphanList = field(default_factory=OrphanList)
    waiting: dict[Key, dict[Key, None]] = field(default_factory=dict)
    """By pipeline: tenants whose run waits for a slot, the longest first."""
    leaving: dict[str, datetime] = field(default_factory=dict)
    """By uid: since when this term tries in vain to close the answers of a tenant whose namespace, or whose managed
    database, is being deleted."""

    def begin_term(self) -> None:
        """Forget what an earlier term knew: others may have led meanwhile."""
        self.queue.clear()
        self.settled.clear()
        self.orphans.clear()
        for memory in (self.bindings, self.reached, self.waiting, self.leaving):
            memory.clear()

    def server_now(self) -> datetime:
        """For ages of what others have stamped: the API server's time, whatever this machine's clock says."""
        return self.api.clock.now() or self.now()

    def reach(self, pipeline: Key) -> Binding | None:
        """The catalog in which a tenant of the pipeline is closed."""
        return self.bindings.get(pipeline) or self.reached.get(pipeline)

    @asynccontextmanager
    async def transaction(self, binding: Binding, deadline: float | None = None) -> AsyncIterator[Transaction]:
        """A transaction in the binding's catalog, under its epoch; bounded by a deadline in seconds."""
        try:
            async with self.databases.transaction(binding.address, binding.catalog, binding.epoch, deadline) as tx:
                yield tx
        except Superseded:
            self.reached.pop(binding.key, None)
            raise

    def wake_waiting(self, pipeline: Key, many: int = 1) -> None:
        """Let the tenants that have waited longest for a slot look again; those in vain wait anew."""
        waiting = self.waiting.get(pipeline, {})
        for key in list(waiting)[:many]:
            del waiting[key]
            self.queue.add(key, routine=True)

    def slot_lock(self, pipeline: Key) -> asyncio.Lock:
        """Serialises the count-then-create of ingestion Jobs of one pipeline."""
        return self.slots.setdefault(pipeline, asyncio.Lock())
