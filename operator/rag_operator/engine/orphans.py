"""Orphans: what a catalog holds that no RagTenant claims. Listed and counted, never deleted by itself (DATA §7)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from rag_operator.engine.queue import Key
from rag_operator.stores.holdings import HeldTenant, Holdings
from rag_operator.stores.tenant_rows import RETAINED
from rag_operator.stores.tenants import ANNOTATION_ADOPT, ANNOTATION_ERASE

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Orphans:
    """Of one catalog. What was kept on purpose when its RagTenant was deleted is no orphan."""

    tenants: tuple[HeldTenant, ...] = ()
    schemas: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    retained: tuple[HeldTenant, ...] = ()

    def outside(self, unlisted: Collection[str]) -> Orphans:
        """Without tenants of namespaces that could not be listed: their RagTenants may be there."""
        return replace(self, tenants=tuple(t for t in self.tenants if t.namespace not in unlisted))

    def message(self) -> str:
        """What there is, and what may be done about it; empty where there is no orphan."""
        tenants = [f"tenant {t.namespace}/{t.name} ({t.id}, {t.state})" for t in self.tenants]
        left = [f"schema {name}" for name in self.schemas] + [f"role {name}" for name in self.roles]
        mends = []
        if tenants:
            mends.append(
                "to use a tenant's data or to erase it, make a RagTenant of its name with the annotation "
                f"{ANNOTATION_ADOPT} or {ANNOTATION_ERASE}: and the id in parentheses"
            )
        if left:
            mends.append("schemas and roles that no tenant has are a database administrator's to drop")
        found = [*tenants, *left]
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        said = f"the catalog holds what no RagTenant claims, and it is kept: {', '.join(found[:SHOWN])}{more}"
        return "; ".join([said, *mends]) if found else ""


class OrphanList:
    """Of all pipelines in this term. A catalog is looked at once after each resync, when all RagTenants are known."""

    def __init__(self) -> None:
        self.unlisted: frozenset[str] = frozenset()
        """Namespaces whose RagTenants the last resync could not list."""
        self._round = 0
        self._looked: dict[Key, tuple[int, int]] = {}
        self._found: dict[Key, Orphans] = {}
        self._told: dict[Key, str] = {}

    def clear(self) -> None:
        """A new term: which RagTenants there are is not known yet."""
        self._round = 0
        self._looked.clear()
        self._found.clear()

    def forget(self, pipeline: Key) -> None:
        """The pipeline is bound no more."""
        self._looked.pop(pipeline, None)
        self._found.pop(pipeline, None)

    def all_are_known(self, unlisted: Collection[str] = ()) -> None:
        """A resync has listed all RagTenants but those of namespaces that it could not list."""
        self.unlisted = frozenset(unlisted)
        self._round += 1

    def is_due(self, pipeline: Key, epoch: int) -> bool:
        """Whether the catalog was not looked at since the last resync, or since it was bound."""
        due = (self._round, epoch)
        return self._round > 0 and self._looked.get(pipeline) != due

    def note(self, pipeline: Key, epoch: int, found: Orphans) -> str:
        """Remember what was found; returns what is to be told of it, empty where it was told already."""
        self._looked[pipeline] = (self._round, epoch)
        self._found[pipeline] = found
        message = found.message()
        news = message if message != self._told.get(pipeline, "") else ""
        self._told[pipeline] = message
        return news

    def counts(self) -> dict[str, int]:
        """Orphans of all catalogs by what they are."""
        found = self._found.values()
        return {
            "tenant": sum(len(one.tenants) for one in found),
            "schema": sum(len(one.schemas) for one in found),
            "role": sum(len(one.roles) for one in found),
        }

    def retained(self) -> int:
        """Tenants that were kept on purpose."""
        return sum(len(one.retained) for one in self._found.values())


def orphans(held: Holdings, claimed: Collection[Key]) -> Orphans:
    """What of a catalog's holdings none of the pipeline's RagTenants claims."""
    kept = tuple(tenant for tenant in held.tenants if tenant.state == RETAINED)
    unclaimed = tuple(
        tenant
        for tenant in held.tenants
        if tenant.state != RETAINED and Key("tenant", tenant.namespace, tenant.name) not in claimed
    )
    return Orphans(unclaimed, held.schemas, held.roles, kept)
