"""A tenant's revisions: promote the built one that the spec asks for, retire those that are no longer kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from rag_operator.decide.tenant import IndexFacts
from rag_operator.engine import metrics, tenant_audit
from rag_operator.engine.context import Binding, Context
from rag_operator.engine.settled import catalog_mark
from rag_operator.kube.client import Object
from rag_operator.stores.profiles import recorded_shape
from rag_operator.stores.promotion import promote, retire
from rag_operator.stores.sight import Sight, look
from rag_operator.stores.tenants import TenantRow, read_tenant
from rag_runtime.contract.config import IndexShape

ALLOWED_LAG = 100
"""Changes of content that a revision may be behind when it is promoted; it catches up while it serves (DATA §4)."""
RETAINED = 1
"""Former revisions that are kept for rollback."""
RETIRE_AFTER = timedelta(minutes=10)
"""How long a replaced revision stays, whatever their number."""


@dataclass(frozen=True, slots=True)
class Brought:
    """The tenant's row as it is now, facts for conditions, and `mark`, what the catalog said in all.

    `retiring`: a former revision goes when its time has come, and nobody will say so.
    """

    row: TenantRow
    facts: IndexFacts
    retained: tuple[int, ...]
    mark: int
    retiring: bool


class Revisions:
    """Moves one tenant's pointer, and drops what nobody reads any more."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def bring(self, live: Object, binding: Binding, sight: Sight, shape: IndexShape) -> Brought:
        """Promote and retire what is due."""
        states = ("Ready", "Retained", "Active")
        wanted = [r for r in sight.revisions if r.spec_hash == shape.spec_hash and r.state in states]
        candidate = wanted[-1].number if wanted else None
        if candidate is not None and candidate != sight.row.active:
            sight = await self._promote(live, binding, sight.row, candidate)
        await self._retire(live, binding, sight)
        known = sight.revisions
        return Brought(
            row=sight.row,
            facts=_facts(sight, shape, candidate),
            retained=tuple(r.number for r in known if r.state == "Retained"),
            mark=catalog_mark(sight.row, sight.leases),
            retiring=len([r for r in known if r.state in ("Retained", "Retiring")]) > RETAINED,
        )

    async def _promote(self, live: Object, binding: Binding, row: TenantRow, candidate: int) -> Sight:
        async with self._context.transaction(binding) as tx:
            result = await promote(tx, row.id, candidate, row.active, ALLOWED_LAG)
            after = await look(tx, await read_tenant(tx, row.namespace, row.name) or row)
        if result.promoted:
            metrics.PROMOTIONS.inc()
            await tenant_audit.promoted(self._context, live, binding, row, candidate)
        return after

    async def _retire(self, live: Object, binding: Binding, sight: Sight) -> None:
        former = [r for r in sight.revisions if r.state in ("Retained", "Retiring")]
        for revision in former[: max(0, len(former) - RETAINED)]:
            since = revision.replaced_at
            if since is None or self._context.server_now() - since > RETIRE_AFTER:
                async with self._context.transaction(binding) as tx:
                    done = await retire(tx, sight.row.id, revision.number)
                if done.retired:
                    tenant_audit.retired(self._context, live, revision.number)


def _facts(sight: Sight, shape: IndexShape, candidate: int | None) -> IndexFacts:
    row = sight.row
    live = [lease for lease in sight.leases if lease.live]
    tenant = str(row.id)
    failures = [lease.failures[tenant] for lease in live if tenant in lease.failures]
    active_shape = recorded_shape(row.shape)
    return IndexFacts(
        active=row.active,
        active_current=active_shape is not None and active_shape.spec_hash == shape.spec_hash,
        candidate=candidate,
        promotion=row.promotion,
        live_leases=len(live),
        behind=sum(lease.applied < row.promotion for lease in live),
        probe_failure=failures[0] if failures else "",
    )
