from __future__ import annotations

from typing import Any

import pytest

from rag_operator.kube.apply import covers

LIVE = {"spec": {"replicas": 2, "ports": [{"port": 80, "protocol": "TCP"}]}, "status": {"ready": 2}}


@pytest.mark.parametrize(
    "wanted",
    [
        {"spec": {"replicas": 2}},
        {"spec": {"ports": [{"port": 80}]}},
        {"spec": {"ports": [{"port": 80}], "empty": {}, "none": None, "no": []}},
    ],
)
def test_a_live_object_with_more_fields_covers_what_is_wanted(wanted: dict[str, Any]) -> None:
    assert covers(LIVE, wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        {"spec": {"replicas": 3}},
        {"spec": {"ports": [{"port": 81}]}},
        {"spec": {"ports": [{"port": 80}, {"port": 81}]}},
        {"spec": {"extra": 1}},
        {"metadata": {"labels": {"a": "b"}}},
    ],
)
def test_a_field_that_another_hand_changed_or_removed_is_noticed(wanted: dict[str, Any]) -> None:
    assert not covers(LIVE, wanted)
