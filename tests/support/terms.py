"""Who held the Lease when, and what each replica changed meanwhile, as the API server's audit log tells it.

A holder is known by its User-Agent. Its term begins as the API server receives the first write of the Lease that it
grants it after another's, and ends as it receives the next holder's. Before that moment the next holder can't have
written, so a write that was answered by then overlaps none of the next one's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from rag_operator.kube.kinds import LEASE
from tests.cluster.audit import Entry
from tests.support.operator import World, eventually

FOR_EVER = "9"
"""After every time of this millennium."""


@dataclass(frozen=True, slots=True)
class Term:
    """The time in which a holder alone may change anything, as the audit log writes times."""

    holder: str
    begins: str
    ends: str


@dataclass(slots=True)
class Ledger:
    """What a `with` block's replicas did; the test may add what it knows to have changed nothing."""

    without_effect: set[str] = field(default_factory=set)
    """Writes, as a script labels them, that the API server granted and that changed no object's version."""


def changes(entry: Entry) -> bool:
    """Whether the API server granted the request, and it was to change anything but the Lease: an Event is one too."""
    return _granted(entry) and entry.resource != "leases"


def terms_of(entries: Iterable[Entry]) -> list[Term]:
    """Of all writes, in order of time; AssertionError where they are of several Leases."""
    leases = sorted((e for e in entries if _granted(e) and e.resource == "leases"), key=lambda entry: entry.time)
    assert len({(lease.namespace, lease.name) for lease in leases}) <= 1, "terms of one Lease"
    begins = [lease for n, lease in enumerate(leases) if not n or leases[n - 1].user_agent != lease.user_agent]
    ends = [later.time for _, later in pairwise(begins)] + [FOR_EVER]
    return [Term(first.user_agent, first.time, end) for first, end in zip(begins, ends, strict=True)]


def out_of_term(entries: Iterable[Entry]) -> list[Entry]:
    """The changes that were not received and answered within one term of who made them."""
    known = list(entries)
    terms = terms_of(known)
    return [entry for entry in known if changes(entry) and not any(_within(entry, term) for term in terms)]


@contextmanager
def one_writer_at_a_time(here: World, writers: int = 2) -> Iterator[Ledger]:
    """Whatever the block's replicas changed, each did in its own term; so many of them led, and changed something."""
    audit, ledger = here.api.audit, Ledger()
    mark = audit.mark()
    yield ledger
    entries = eventually(lambda: _until_now(here, mark), "the audit log tells of the Lease as it stands")
    assert entries
    terms = terms_of(entries)
    late = [entry for entry in out_of_term(entries) if _label(entry) not in ledger.without_effect]
    assert not late, [*terms, *late]
    wrote = {entry.user_agent for entry in entries if changes(entry)}
    assert len(wrote) >= writers, f"too few to tell: {wrote}"


def _until_now(here: World, mark: int) -> list[Entry] | None:
    """The replicas' writes after the mark, once the last holder that they tell of is the Lease's: a line is written
    after the answer, and the Lease may change hands meanwhile. A holder is known by its User-Agent.
    """
    entries = here.api.audit.writes(mark, user=here.user)
    (place,) = {(entry.namespace, entry.name) for entry in entries if entry.resource == LEASE.plural and entry.name}
    holder = here.api.client.get(LEASE.path(*place))["spec"]["holderIdentity"]
    return entries if terms_of(entries)[-1].holder.endswith(f"({holder})") else None


def _granted(entry: Entry) -> bool:
    return entry.writes and 200 <= entry.code < 300


def _within(entry: Entry, term: Term) -> bool:
    return entry.user_agent == term.holder and term.begins <= entry.time and entry.answered <= term.ends


def _label(entry: Entry) -> str:
    method = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}.get(entry.verb, entry.verb)
    return f"{method} {entry.path.partition('?')[0]}"
