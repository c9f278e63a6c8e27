"""Waiting for the operator, counted in what it does and not in seconds: a slow machine takes longer, and sees no less.

All of it is exact where the world has one pipeline: what else there is, is looked at in between.
"""

from __future__ import annotations

from rag_operator.kube.kinds import LEASE
from tests.cluster.audit import Entry
from tests.support.operator import OperatorProcess, World, eventually
from tests.support.scrape import Scrape

LONG = 240.0
"""Seconds: a bound for what hangs."""


def looks(replica: OperatorProcess, count: int = 2, kind: str = "pipeline") -> None:
    """So many reconciles of resources of a kind, of which there is one, that begin from now on, and what they wake.

    Each resync asks for one of the pipeline. The first to end may have begun before.
    """
    before = _ended(_answering(replica), kind)
    eventually(lambda: _ended(replica.scrape(), kind) > before + count, f"{count} looks at the {kind}", LONG)
    eventually(lambda: replica.scrape().is_idle(), "nothing is under way", LONG)


def _answering(replica: OperatorProcess) -> Scrape:
    found = eventually(lambda: (s := replica.scrape()).samples and s, "it tells of itself", LONG)
    assert isinstance(found, Scrape)
    return found


def _ended(told: Scrape, kind: str) -> float:
    return told.of("rag_operator_reconciles_total", kind=kind)


def observed(here: World, kind: str, name: str, condition: str = "Ready") -> None:
    """Wait until a condition is said of the spec that stands now, so that the operator has looked at it."""
    generation = (here.get(kind, name) or {})["metadata"]["generation"]
    eventually(
        lambda: here.condition(kind, name, condition).get("observedGeneration") == generation,
        f"{kind} {name} is looked at in generation {generation}",
        LONG,
    )


def settles(here: World, replica: OperatorProcess, count: int = 2) -> None:
    """Wait until so many looks have passed without a write."""

    def quiet() -> bool:
        mark = here.api.audit.mark()
        looks(replica, count)
        return not written(here, mark)

    eventually(quiet, f"{count} looks without a write", LONG)


def idles(here: World, replica: OperatorProcess, count: int = 3) -> None:
    """Once settled it writes nothing at further looks but its Lease."""
    settles(here, replica)
    mark = here.api.audit.mark()
    looks(replica, count)
    eventually(
        lambda: [e for e in here.api.audit.writes(mark, user=here.user) if e.resource == "leases"],
        "the audit log shows this operator's writes at all",
    )
    assert written(here, mark) == []


def stands_by(here: World, name: str) -> None:
    """Wait until who goes by that name has asked for the Lease again, its first try having been in vain."""

    def asked() -> bool:
        entries = here.api.audit.entries(here.since, user=here.user, verbs=("get",))
        return len([one for one in entries if one.resource == LEASE.plural and f"({name}-" in one.user_agent]) > 1

    eventually(asked, f"{name} asks for the Lease", LONG)


def written(here: World, mark: int) -> list[Entry]:
    """What the world's operators have written since, their Lease aside."""
    return [entry for entry in here.api.audit.writes(mark, user=here.user) if entry.resource != "leases"]
