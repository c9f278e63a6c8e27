"""Retirement's wait is a pure check of the leases."""

from __future__ import annotations

import pytest

from rag_operator.api.conditions import Reason
from rag_operator.stores.errors import StoreProblem
from rag_operator.stores.leases import Lease, holding_back
from rag_operator.stores.preflight import _check_server


def lease(pod: str, pinned: int, live: bool = True) -> Lease:
    """A pod whose oldest request began at promotion `pinned`."""
    return Lease(pod, pinned, pinned, {}, live)


@pytest.mark.parametrize(
    ("leases", "held_by"),
    [
        ([], ()),
        ([lease("a", 7)], ()),
        ([lease("a", 8)], ()),
        ([lease("a", 6)], ("a",)),
        ([lease("a", 0, live=False)], ()),
        ([lease("a", 6), lease("b", 7), lease("c", 1)], ("a", "c")),
    ],
)
def test_a_pod_that_pins_something_older_than_the_replacement_holds_it_back(
    leases: list[Lease], held_by: tuple[str, ...]
) -> None:
    assert holding_back(leases, 7) == held_by


@pytest.mark.parametrize(("server", "standby", "said"), [(150012, False, "is Postgres 15"), (180004, True, "replica")])
def test_a_server_that_is_too_old_or_a_replica_is_refused(server: int, standby: bool, said: str) -> None:
    from rag_operator.stores.address import parse_secret

    parts = {"host": b"db.example", "dbname": b"rag", "username": b"app", "password": b"x"}
    with pytest.raises(StoreProblem, match=said) as refused:
        _check_server({"server": server, "standby": standby}, parse_secret(parts))
    assert refused.value.reason is Reason.DATABASE_UNSUITABLE
