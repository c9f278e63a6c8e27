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


def test_tenants_of_one_pipeline_share_a_lane_that_the_pipeline_does_not_wait_in() -> None:
    registry = Registry()
    registry.observe(PIPELINE, {"metadata": {"resourceVersion": "1"}})
    for name, pipeline in (("a", "support"), ("b", "support"), ("c", "other")):
        registry.observe(Key("tenant", "rag", name), _body("1", pipeline=pipeline))
    lane_of_a, lane_of_b, lane_of_c = (registry.lane(Key("tenant", "rag", name)) for name in "abc")
    assert lane_of_a == lane_of_b != lane_of_c
    assert registry.lane(PIPELINE) not in (lane_of_a, lane_of_c)
    assert registry.lane(Key("tenant", "rag", "new")) == Key("tenant", "rag", "new")


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
