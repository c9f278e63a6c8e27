"""What a tenant looked like when nothing was left to do for it: a resync looks again only at what looks otherwise.

A few hundred bytes a tenant, and no object is kept. What no list shows (Secrets are read by name only) is looked at in
turns: every resync hands those that were looked at longest ago to a worker all the same, so many that it costs a resync
no more with ten thousand tenants than with one thousand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from rag_operator.engine.queue import Key
from rag_operator.kube.client import Object
from rag_operator.stores.leases import Lease
from rag_operator.stores.tenant_rows import Glance, TenantRow

TURNS = 12
"""Resyncs within which every settled tenant is looked at once, an hour by default, as long as `LOOKS` suffice."""
LOOKS = 100
"""Of settled tenants, at each resync: some 10 ms of CPU each."""


Children = frozenset[str]
"""A tenant's children that lists show, each by what changes with it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The tenant's own resourceVersion, what its catalog said, and its children."""

    version: str
    catalog: int
    children: Children


class Settled:
    """What was seen last of each tenant that waits for nothing."""

    def __init__(self) -> None:
        self._seen: dict[Key, Seen] = {}

    def note(self, key: Key, seen: Seen) -> None:
        """Nothing is left to do."""
        self._seen.pop(key, None)
        self._seen[key] = seen

    def drop(self, key: Key) -> None:
        """The tenant is being looked at, or gone."""
        self._seen.pop(key, None)

    def clear(self) -> None:
        """Another term begins."""
        self._seen.clear()

    def longest_unseen(self) -> frozenset[Key]:
        """Those whose turn it is."""
        share = -(-len(self._seen) // TURNS)
        return frozenset(islice(self._seen, min(LOOKS, share)))

    def differs(self, key: Key, version: str, children: Children, catalog: int | None) -> bool:
        """Whether the tenant is not as it was seen; `catalog` None where its database could not be asked."""
        seen = self._seen.get(key)
        if seen is None or seen.version != version or not seen.children <= children:
            return True
        return catalog is not None and seen.catalog != catalog


def mark_of(uid: str, generation: int | None, version: str) -> str:
    """What changes when another hand changes a child: its generation, and not with every status; else its version."""
    return f"{uid}/{generation or version}"


def mark_of_child(live: Object) -> str:
    """The same of a child that was read whole."""
    meta = live["metadata"]
    return mark_of(meta["uid"], meta.get("generation"), meta["resourceVersion"])


def catalog_mark(row: TenantRow | Glance, leases: Iterable[Lease]) -> int:
    """What a tenant's conditions take from its catalog, as a number within this process.

    How many pods answer is no part of it: each that comes or goes would have all tenants looked at, and written.
    """
    live = [lease for lease in leases if lease.live]
    behind = sum(lease.applied < row.promotion for lease in live)
    failures = [failure for lease in live if (failure := lease.failures.get(str(row.id)))]
    return hash((row.mark, bool(live), (behind, len(live)) if behind else None, *failures[:1]))
