from __future__ import annotations

from uuid import UUID

from rag_operator.engine.orphans import OrphanList, Orphans, orphans
from rag_operator.engine.queue import Key
from rag_operator.stores.holdings import HeldTenant, Holdings

PIPELINE = Key("pipeline", "rag", "support")
ACME = Key("tenant", "rag", "acme")


def held(name: str, state: str = "Active") -> HeldTenant:
    return HeldTenant(UUID(int=len(name)), "rag", name, state)


def test_a_tenant_is_an_orphan_in_every_state_but_the_one_that_keeps_it_on_purpose() -> None:
    rows = tuple(held(state, state) for state in ("Active", "Deactivated", "Erasing", "Retained"))
    found = orphans(Holdings((held("acme"), *rows), (), ()), {ACME})
    assert [tenant.name for tenant in found.tenants] == ["Active", "Deactivated", "Erasing"]
    assert [tenant.name for tenant in found.retained] == ["Retained"]


def test_a_tenant_of_the_name_in_another_namespace_claims_nothing() -> None:
    found = orphans(Holdings((held("acme"),), (), ()), {Key("tenant", "elsewhere", "acme")})
    assert [tenant.name for tenant in found.tenants] == ["acme"]


def test_the_message_names_the_first_with_their_ids_and_the_mend() -> None:
    found = Orphans(tuple(held("a" * n) for n in range(1, 6)), ("rag_old_1",), ("rag_c_1_read",))
    said = found.message()
    assert f"tenant rag/a ({UUID(int=1)}, Active)" in said
    assert " and 2 more; " in said
    assert "rag-operator.dev/adopt-retained or rag-operator.dev/erase-retained" in said
    assert "administrator's to drop" in said
    assert Orphans(retained=(held("kept"),)).message() == ""


def test_a_catalog_is_looked_at_when_all_are_known_then_once_a_resync_and_at_every_new_connection() -> None:
    known = OrphanList()
    assert not known.is_due(PIPELINE, 1), "who claims what is not known before the first list"
    known.all_are_known()
    assert known.is_due(PIPELINE, 1)
    known.note(PIPELINE, 1, Orphans())
    assert not known.is_due(PIPELINE, 1)
    assert known.is_due(PIPELINE, 2), "bound anew"
    known.all_are_known()
    assert known.is_due(PIPELINE, 1)
    known.clear()
    assert not known.is_due(PIPELINE, 1), "another term"


def test_what_was_told_is_told_again_only_when_it_changes() -> None:
    known, one = OrphanList(), Orphans((held("acme"),))
    assert known.note(PIPELINE, 1, one)
    assert not known.note(PIPELINE, 1, one)
    assert known.note(PIPELINE, 1, Orphans((held("acme"),), ("rag_old_1",)))
    assert not known.note(PIPELINE, 1, Orphans())
    assert known.note(PIPELINE, 1, one)


def test_orphans_are_counted_by_what_they_are_and_go_with_their_pipeline() -> None:
    known = OrphanList()
    known.note(PIPELINE, 1, Orphans((held("a"),), ("s", "t"), ("r",), (held("kept"),)))
    known.note(Key("pipeline", "rag", "other"), 1, Orphans((held("b"),)))
    assert known.counts() == {"tenant": 2, "schema": 2, "role": 1}
    assert known.retained() == 1
    known.forget(PIPELINE)
    assert known.counts() == {"tenant": 1, "schema": 0, "role": 0}
    assert known.retained() == 0
