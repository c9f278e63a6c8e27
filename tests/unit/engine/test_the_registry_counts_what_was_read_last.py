from __future__ import annotations

from typing import Any

from rag_operator.engine.queue import Key
from rag_operator.engine.registry import Registry

PIPELINE = Key("pipeline", "rag", "support")
TENANT = Key("tenant", "rag", "acme")


def _body(version: str, ready: str = "False", pipeline: str = "support") -> dict[str, Any]:
    return {
        "metadata": {"namespace": "rag", "resourceVersion": version},
        "spec": {"pipelineRef": {"name": pipeline}},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def test_what_a_list_shows_counts_where_no_watch_delivered_it() -> None:
    registry = Registry()
    registry.observe(TENANT, _body("7"))
    assert not registry.behind(TENANT, "7")
    assert registry.behind(TENANT, "8")
    assert registry.take_in(TENANT, _body("8", ready="True"))
    assert registry.counts(PIPELINE).ready == 1
    assert registry.behind(TENANT, "8"), "only a watch's delivery shows that the watch lives"


def test_an_object_that_no_watch_delivered_is_behind_and_known() -> None:
    registry = Registry()
    registry.take_in(TENANT, _body("3"))
    assert registry.knows(TENANT)
    assert registry.behind(TENANT, "3")
    registry.forget(TENANT)
    assert not registry.knows(TENANT)


def test_who_leaves_is_known_by_uid_until_gone_or_made_anew() -> None:
    registry, going = Registry(), _body("2")
    going["metadata"] |= {"uid": "u1", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    registry.observe(TENANT, _body("1"))
    assert registry.leaving(TENANT) is None
    registry.observe(TENANT, going)
    assert registry.leaving(TENANT) == "u1"
    registry.observe(TENANT, _body("3"))
    assert registry.leaving(TENANT) is None, "another of its name, of which the end of the former was not heard"
    registry.observe(TENANT, going)
    registry.forget(TENANT)
    assert registry.leaving(TENANT) is None


def test_what_a_look_finds_gone_is_forgotten_unless_a_watch_has_told_of_it_since_the_look_began() -> None:
    registry = Registry()
    registry.take_in(TENANT, _body("3"))
    assert registry.found_gone(TENANT, None)
    assert not registry.knows(TENANT)
    assert not registry.found_gone(TENANT, None), "it was forgotten before"
    registry.observe(TENANT, _body("9"))
    assert not registry.found_gone(TENANT, "3")
    assert registry.knows(TENANT)


def test_gone_is_what_a_list_lacks_unless_a_watch_has_told_of_it_since_the_list_began() -> None:
    registry = Registry()
    gone, unheard, again, edited, late = (Key("tenant", "rag", name) for name in ("gone", "un", "again", "ed", "late"))
    for key in (gone, again, edited):
        registry.observe(key, _body("1"))
    registry.take_in(unheard, _body("1"))
    before = registry.known()
    registry.forget(again)
    for key in (again, edited, late):
        registry.observe(key, _body("2"))
    assert set(registry.vanished(before, {edited})) == {gone, unheard}


def test_tenants_of_one_pipeline_share_a_lane_that_the_pipeline_does_not_wait_in() -> None:
    registry = Registry()
    registry.observe(PIPELINE, {"metadata": {"resourceVersion": "1"}})
    for name, pipeline in (("a", "support"), ("b", "support"), ("c", "other")):
        registry.observe(Key("tenant", "rag", name), _body("1", pipeline=pipeline))
    lane_of_a, lane_of_b, lane_of_c = (registry.lane(Key("tenant", "rag", name)) for name in "abc")
    assert lane_of_a == lane_of_b != lane_of_c
    assert registry.lane(PIPELINE) not in (lane_of_a, lane_of_c)
    assert registry.lane(Key("tenant", "rag", "new")) == Key("tenant", "rag", "new")


def _guest(namespace: str, reason: str = "Ready") -> tuple[Key, dict[str, Any]]:
    body = _body("1", ready=str(reason == "Ready"))
    body["metadata"]["namespace"] = namespace
    body["spec"]["pipelineRef"]["namespace"] = "rag"
    body["status"]["conditions"][0]["reason"] = reason
    return Key("tenant", namespace, "acme"), body


def test_tenants_of_other_namespaces_are_their_pipelines_and_no_namesakes() -> None:
    registry = Registry()
    guest, body = _guest("sales")
    registry.take_in(guest, body)
    registry.take_in(TENANT, _body("1", ready="True"))
    namesake = Key("tenant", "sales", "beside")
    registry.take_in(namesake, _body("1") | {"metadata": {"namespace": "sales", "resourceVersion": "1"}})
    assert set(registry.tenants_of(PIPELINE)) == {guest, TENANT}
    assert set(registry.tenants_of(Key("pipeline", "sales", "support"))) == {namesake}
    assert registry.lane(guest) == registry.lane(TENANT) != registry.lane(namesake)
    assert registry.guests_in("sales") == (guest,)
    registry.forget(guest)
    assert not registry.guests_in("sales")
    assert not registry.has_guests()


def test_a_tenant_that_its_pipeline_does_not_take_is_not_counted_and_still_told() -> None:
    registry = Registry()
    registry.take_in(*_guest("sales"))
    registry.take_in(*_guest("other", "NotAllowedByPipeline"))
    assert registry.counts(PIPELINE).total == 1
    assert len(list(registry.tenants_of(PIPELINE))) == 2


def test_what_this_process_wrote_itself_is_an_echo_and_another_s_change_is_none() -> None:
    registry = Registry()
    registry.wrote(TENANT, _body("4"), _body("5"))
    assert registry.is_echo(TENANT, _body("5"))
    assert not registry.is_echo(TENANT, _body("6"))


def test_a_change_that_came_between_reading_and_writing_is_never_taken_for_an_echo() -> None:
    registry = Registry()
    read, written = _body("4"), _body("6")
    read["metadata"]["generation"], written["metadata"]["generation"] = 1, 2
    registry.wrote(TENANT, read, written)
    assert not registry.is_echo(TENANT, written)
