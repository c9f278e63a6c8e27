"""Terms of holders, and what was changed out of them, out of an audit log's entries."""

from dataclasses import replace

import pytest

from tests.cluster.audit import Entry
from tests.support.terms import FOR_EVER, Term, out_of_term, terms_of

ONE, OTHER = "rag-operator/0.1.0 (one)", "rag-operator/0.1.0 (other)"


def at(seconds: float) -> str:
    """A time as the audit log writes it."""
    return f"2026-01-01T00:00:{seconds:09.6f}Z"


def written(by: str, received: float, answered: float = 0.0, resource: str = "deployments", code: int = 200) -> Entry:
    return Entry(
        id=str(received), time=at(received), answered=at(answered or received + 0.1), user="operators", verb="patch",
        group="", resource=resource, subresource="", namespace="rag", name="a", path="", code=code, message="",
        user_agent=by,
    )  # fmt: skip


def renewed(by: str, received: float, code: int = 200) -> Entry:
    return written(by, received, resource="leases", code=code)


HANDED_OVER = [renewed(ONE, 10), renewed(ONE, 13), renewed(OTHER, 30), renewed(OTHER, 33)]


def test_a_term_goes_from_a_holder_s_first_renewal_to_the_first_of_the_next() -> None:
    back = [*HANDED_OVER, renewed(ONE, 50)]
    expected = [Term(ONE, at(10), at(30)), Term(OTHER, at(30), at(50)), Term(ONE, at(50), FOR_EVER)]
    assert terms_of(reversed(back)) == expected, "whatever the order in which answers were logged"


def test_a_renewal_that_was_refused_begins_no_term() -> None:
    assert len(terms_of([*HANDED_OVER, renewed(ONE, 40, code=409)])) == 2


def test_terms_of_several_leases_are_none() -> None:
    with pytest.raises(AssertionError, match="terms of one Lease"):
        terms_of([renewed(ONE, 10), replace(renewed(OTHER, 12), name="b")])


@pytest.mark.parametrize(
    "late",
    [
        written(ONE, 31),
        written(ONE, 29.9, 30.1),
        written(OTHER, 29),
        written(ONE, 9),
        written("somebody", 20),
        written(ONE, 31, resource="events", code=201),
    ],
    ids=["of the former holder", "answered too late", "of the next too early", "before all terms", "of none", "Event"],
)
def test_a_change_is_out_of_term_that_was(late: Entry) -> None:
    assert out_of_term([*HANDED_OVER, written(ONE, 11), written(OTHER, 34), late]) == [late]


@pytest.mark.parametrize(
    "harmless",
    [
        written(ONE, 31, code=409),
        renewed(ONE, 31, code=409),
        replace(written(ONE, 31), verb="get"),
        written(ONE, 29, 29.9),
        written(OTHER, 70, 80),
    ],
    ids=["refused", "the Lease's", "a read", "answered before", "of the last"],
)
def test_nothing_is_said_of_what_is(harmless: Entry) -> None:
    assert out_of_term([*HANDED_OVER, harmless]) == []
