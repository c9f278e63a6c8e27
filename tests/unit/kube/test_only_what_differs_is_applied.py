from __future__ import annotations

from copy import deepcopy
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


OURS: dict[str, Any] = {
    "metadata": {"ownerReferences": [{"uid": "1", "name": "support"}]},
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "query",
                        "args": ["serve", "--config", "x"],
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        "ports": [{"containerPort": 8000, "protocol": "TCP"}],
                        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                    }
                ],
                "initContainers": [{"name": "first", "env": [{"name": "A", "value": "1"}]}],
                "volumes": [{"name": "tmp", "secret": {"items": [{"key": "a", "path": "a"}]}}],
                "imagePullSecrets": [{"name": "ours"}],
                "tolerations": [{"key": "disk", "operator": "Exists"}],
                "topologySpreadConstraints": [{"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
            }
        }
    },
}
SERVICE: dict[str, Any] = {"spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "protocol": "TCP"}]}}
POLICY: dict[str, Any] = {
    "spec": {
        "podSelector": {"matchLabels": {"a": "b"}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"a": "b"}}}], "ports": [{"port": 80}]}],
        "egress": [],
    }
}
POD = "spec.template.spec"
QUERY = f"{POD}.containers.0"
MERGED = [
    (OURS, "metadata.ownerReferences", {"uid": "2", "name": "support"}),
    (OURS, f"{POD}.containers", {"name": "mesh"}),
    (OURS, f"{POD}.initContainers", {"name": "mesh"}),
    (OURS, f"{POD}.initContainers.0.env", {"name": "MESH", "value": "x"}),
    (OURS, f"{POD}.volumes", {"name": "mesh"}),
    (OURS, f"{POD}.imagePullSecrets", {"name": "mesh"}),
    (OURS, f"{POD}.topologySpreadConstraints", {"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}),
    (OURS, f"{QUERY}.env", {"name": "MESH", "value": "x"}),
    (OURS, f"{QUERY}.ports", {"containerPort": 8000, "protocol": "UDP"}),
    (OURS, f"{QUERY}.volumeMounts", {"name": "tmp", "mountPath": "/mesh"}),
    (SERVICE, "spec.ports", {"port": 80, "protocol": "UDP"}),
]
WHOLE = [
    (OURS, f"{QUERY}.args", "--more"),
    (OURS, f"{POD}.volumes.0.secret.items", {"key": "b", "path": "b"}),
    (OURS, f"{POD}.tolerations", {"key": "mesh", "operator": "Exists"}),
    (POLICY, "spec.ingress", {}),
    (POLICY, "spec.egress", {}),
    (POLICY, "spec.ingress.0.from", {"ipBlock": {"cidr": "0.0.0.0/0"}}),
    (POLICY, "spec.ingress.0.ports", {"port": 22}),
]


def _at(manifest: Any, path: str) -> Any:
    for part in path.split("."):
        manifest = manifest[int(part)] if part.isdigit() else manifest[part]
    return manifest


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(("ours", "path", "theirs"), MERGED, ids=[path for _, path, _ in MERGED])
def test_an_item_that_another_added_where_an_apply_leaves_it_is_no_difference_and_ours_still_count(
    ours: dict[str, Any], path: str, theirs: Any, place: int
) -> None:
    live = deepcopy(ours)
    items = _at(live, path)
    items.insert(place, theirs)
    assert covers(live, ours)
    items.append(deepcopy(items[1 - place]))
    assert not covers(live, ours), "ours twice"
    items.pop()
    items.pop(1 - place)
    assert not covers(live, ours), "ours is gone"


@pytest.mark.parametrize(("ours", "path", "theirs"), WHOLE, ids=[path for _, path, _ in WHOLE])
def test_an_item_that_another_added_where_an_apply_takes_it_away_is_a_difference(
    ours: dict[str, Any], path: str, theirs: Any
) -> None:
    live = deepcopy(ours)
    _at(live, path).append(theirs)
    assert covers(ours, ours)
    assert not covers(live, ours)


def test_a_changed_value_is_noticed_beside_items_of_others() -> None:
    live = deepcopy(OURS)
    _at(live, f"{QUERY}.env")[:] = [{"name": n, "value": "x"} for n in ("MESH", "A", "B")]
    assert not covers(live, OURS)
    _at(live, f"{QUERY}.env")[1:] = [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]
    assert covers(live, OURS), "an apply leaves their order alone too"


def test_items_that_no_key_tells_apart_are_compared_one_by_one() -> None:
    twice = {"spec": {"volumes": [{"name": "a"}, {"name": "a"}]}}
    assert covers(twice, twice)
    assert not covers({"spec": {"volumes": [*twice["spec"]["volumes"], {"name": "b"}]}}, twice)


@pytest.mark.parametrize(
    ("ours", "path"),
    [
        (SERVICE, "spec.selector"),
        (POLICY, "spec.podSelector.matchLabels"),
        (POLICY, "spec.ingress.0.from.0.podSelector.matchLabels"),
        (POLICY, "spec.ingress.0.from.0"),
    ],
)
def test_a_label_or_a_selector_more_is_a_difference(ours: dict[str, Any], path: str) -> None:
    live = deepcopy(ours)
    _at(live, path)["namespaceSelector"] = {}
    assert not covers(live, ours)


def test_what_the_server_drops_of_a_selector_is_no_difference() -> None:
    wanted: dict[str, Any] = {
        "spec": {"ingress": [{"from": [{"podSelector": {"matchLabels": {}, "matchExpressions": []}}]}]}
    }
    assert covers({"spec": {"ingress": [{"from": [{"podSelector": {}}]}]}}, wanted)
