from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from rag_operator.engine.queue import Key
from rag_operator.engine.settled import LOOKS, TURNS, Seen, Settled, catalog_mark, mark_of_child
from rag_operator.stores.leases import Lease
from rag_operator.stores.summary import Summary
from rag_operator.stores.tenant_rows import TenantRow

ACME = Key("tenant", "rag", "acme")
CHILDREN = frozenset({"cron/1", "config/7"})
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
ROW = TenantRow(
    id=UUID(int=1), namespace="rag", name="acme", uid="u", state="Active", schema="s", reader="r", ingestion="i",
    shard=0, api_keys=("k",), config={}, credential_version="v", schema_version=1, changed_at=WHEN, laid=True,
    open=True, active=1, shape={}, version=3, token="t", promotion=4, seq=9, summary=Summary(), mark=11,
)  # fmt: skip
LEASE = Lease("pod-0", applied=4, pinned=4, failures={}, live=True)


def settled() -> Settled:
    """ACME is settled."""
    known = Settled()
    known.note(ACME, Seen("5", 1, CHILDREN))
    return known


def test_what_looks_as_it_did_is_left_alone() -> None:
    assert not settled().differs(ACME, "5", CHILDREN, 1)
    assert not settled().differs(ACME, "5", CHILDREN | {"config/6"}, 1), "a former configuration is no difference"
    assert not settled().differs(ACME, "5", CHILDREN, None), "a database that is away says nothing"


@pytest.mark.parametrize(
    ("version", "children", "catalog"),
    [
        ("6", CHILDREN, 1),
        ("5", frozenset({"cron/2", "config/7"}), 1),
        ("5", frozenset({"cron/1"}), 1),
        ("5", CHILDREN, 2),
    ],
    ids=["another version", "another CronJob", "no ConfigMap", "another catalog row"],
)
def test_each_difference_is_looked_at(version: str, children: frozenset[str], catalog: int) -> None:
    assert settled().differs(ACME, version, children, catalog)


def test_what_never_settled_is_looked_at_each_time() -> None:
    known = settled()
    known.drop(ACME)
    assert known.differs(ACME, "5", CHILDREN, 1)


@pytest.mark.parametrize(("count", "turns"), [(1, 1), (20, 10), (600, TURNS), (1200, TURNS), (10_000, 10_000 // LOOKS)])
def test_everyone_is_looked_at_once_in_so_many_turns(count: int, turns: int) -> None:
    known = Settled()
    for number in range(count):
        known.note(Key("tenant", "rag", f"t{number}"), Seen("5", 1, CHILDREN))
    looked: list[Key] = []
    for _ in range(turns):
        due = known.longest_unseen()
        assert len(due) <= LOOKS
        looked += due
        for key in due:
            known.drop(key)
            known.note(key, Seen("5", 1, CHILDREN))
    assert len(looked) == len(set(looked)) == count


def test_who_was_just_looked_at_is_the_last_in_turn() -> None:
    known = Settled()
    first, second = (Key("tenant", "rag", name) for name in ("first", "second"))
    for key in (first, second, first):
        known.note(key, Seen("5", 1, CHILDREN))
    assert known.longest_unseen() == {second}


@pytest.mark.parametrize(
    ("row", "leases"),
    [
        ({"mark": 12}, [LEASE]),
        ({}, []),
        ({"promotion": 5}, [LEASE]),
        ({}, [Lease("pod-0", 4, 4, {str(ROW.id): "no table"}, live=True)]),
    ],
    ids=["its row", "no pod", "a pod behind", "a probe failed"],
)
def test_the_mark_changes_with_all_that_conditions_tell(row: dict[str, Any], leases: list[Lease]) -> None:
    assert catalog_mark(replace(ROW, **row), leases) != catalog_mark(ROW, [LEASE])
    assert catalog_mark(replace(ROW), [LEASE]) == catalog_mark(ROW, [LEASE])


def test_how_many_pods_answer_is_no_difference_and_how_many_are_behind_is() -> None:
    pods = [replace(LEASE, pod=f"pod-{number}") for number in range(3)]
    assert len({catalog_mark(ROW, pods[:count]) for count in (1, 2, 3)}) == 1
    behind = [[replace(pod, applied=3) for pod in pods[:count]] + pods[count:] for count in range(3)]
    assert len({catalog_mark(ROW, leases) for leases in behind}) == 3


def test_a_status_of_a_child_is_no_difference_and_its_content_is() -> None:
    cron = {"metadata": {"uid": "u", "generation": 2, "resourceVersion": "10"}}
    ran = {"metadata": {"uid": "u", "generation": 2, "resourceVersion": "11"}}
    assert mark_of_child(cron) == mark_of_child(ran)
    config = {"metadata": {"uid": "u", "resourceVersion": "10"}}
    assert mark_of_child(config) != mark_of_child({"metadata": {"uid": "u", "resourceVersion": "11"}})
