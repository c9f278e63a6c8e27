"""A7: a managed database's volume follows the deletion policy as it stands, both ways."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.looks import observed
from tests.support.managed import managed_pipeline_binds
from tests.support.operator import World, eventually, pipeline

pytestmark = pytest.mark.integration


def _claim(here: World) -> dict[str, Any]:
    found: dict[str, Any] = (here.get("persistentvolumeclaim", "support-postgres") or {}).get("metadata", {})
    return found


def _owners(here: World) -> list[str]:
    return [owner["name"] for owner in _claim(here).get("ownerReferences", [])]


def test_a_changed_policy_takes_the_volume_along_and_leaves_it_again(here: World, database: str) -> None:
    here.operator()
    managed: dict[str, Any] = {"database": {"managed": {}}}
    here.apply(pipeline(**managed))
    managed_pipeline_binds(here, database)
    kept = _claim(here)["uid"]
    assert _owners(here) == []
    for policy, owners in (("Delete", ["support"]), ("Retain", [])):
        here.apply(pipeline(**managed, deletionPolicy=policy))
        eventually(lambda owners=owners: _owners(here) == owners, f"the volume follows {policy}")  # type: ignore[misc]
        observed(here, "ragpipeline", "support")
        assert here.condition("ragpipeline", "support", "Ready")["reason"] != "NameTaken"
    assert _claim(here)["uid"] == kept
