"""A14: what was promoted, rolled back, adopted, rotated, kept, erased; by whose hand, as far as that can be known."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant
from tests.support.revisions import build_revision

pytestmark = pytest.mark.integration
FIELDS = {"time", "level", "logger", "message", "audit", "action", "operator", "kind", "namespace", "name", "uid"}


def said(here: World, action: str, number: int = 1) -> dict[str, Any]:
    """The newest of so many lines of an action, complete."""
    line = here.wait_audited(action, number)
    assert line.keys() >= FIELDS
    assert line["operator"] == "operator-0"
    return line


def event_said(here: World, reason: str) -> str:
    """The message of the newest Event of a reason."""
    text = here.kubectl("get", "events", f"--field-selector=reason={reason}", "-o", "json")
    items = json.loads(text)["items"]
    return str(items[-1]["message"]) if items else ""


def _patched(here: World, hand: str, what: str, patch: dict[str, Any]) -> None:
    here.kubectl("patch", what, "--type=merge", f"--field-manager={hand}", "-p", json.dumps(patch))


def test_promotion_rollback_rotation_and_pause_name_the_hand_that_caused_them(here: World, database: str) -> None:
    here.operator(resync_seconds="2", log_level="error")
    here.apply(pipeline(chunking={"size": 100}), tenant(), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    assert said(here, "CatalogMade")["changedBy"] == "kubectl-client-side-apply"

    build_revision(here, "acme", 100)
    assert said(here, "Promoted")["revision"] == 1
    here.apply(pipeline(chunking={"size": 120}))
    build_revision(here, "acme", 120)
    second = said(here, "Promoted", 2)
    assert (second["kind"], second["name"], second["revision"], second["formerRevision"]) == ("RagTenant", "acme", 2, 1)
    assert second["changedBy"] == "kubectl-client-side-apply"
    _patched(here, "ann", "ragpipeline/support", {"spec": {"chunking": {"size": 100}}})
    back = said(here, "RolledBack")
    assert (back["revision"], back["formerRevision"], back["changedBy"]) == (1, 2, "ann")
    assert "spec.chunking" in back["part"]
    eventually(lambda: event_said(here, "RolledBack") == back["message"], "the Event says the same")

    key = base64.b64encode(b"another-key").decode()
    _patched(here, "bob", "secret/acme-api-key", {"data": {"api-key": key}})
    assert said(here, "KeyRotated")["changedBy"] == "bob"
    here.kubectl("delete", "secret", "acme-ingest-db")
    assert said(here, "LoginRotated")["name"] == "acme"

    _patched(here, "cat", "ragpipeline/support", {"spec": {"paused": True}})
    assert said(here, "Paused")["changedBy"] == "cat"
    here.apply(pipeline(chunking={"size": 100}))
    _patched(here, "cat", "ragpipeline/support", {"spec": {"paused": False}})
    assert said(here, "Resumed")["part"] == "spec.paused"
    lines = "\n".join(line for line in here.logs().splitlines() if '"audit"' in line)
    secrets = {"another-key", *here.secret("acme-ingest-db").values()} - {"127.0.0.1", "disable", "prefer"}
    assert not [value for value in secrets if len(value) > 8 and value in lines]


def test_what_became_of_the_data_is_said(here: World, database: str) -> None:
    here.operator(resync_seconds="2")
    here.apply(pipeline(deletionPolicy="Delete"), HANDBOOK, here.database_secret(database))
    here.apply(tenant(suspend=True))
    here.wait_condition("ragtenant", "acme", "Ready", "Suspended")
    here.kubectl("delete", "ragtenant", "acme")
    kept = said(here, "DataRetained")
    assert kept["part"] == "spec.deletionPolicy"

    here.apply(tenant(suspend=True))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "RetainedData")
    here.kubectl(
        "annotate", "ragtenant", "acme", "--field-manager=dan",
        f"rag-operator.dev/adopt-retained={kept['incarnation']}",
    )  # fmt: skip
    adopted = said(here, "Adopted")
    assert (adopted["changedBy"], adopted["incarnation"]) == ("dan", kept["incarnation"])
    here.wait_condition("ragtenant", "acme", "Ready", "Suspended")

    here.apply(tenant(suspend=True, deletionPolicy="Delete"))
    here.kubectl("delete", "ragtenant", "acme")
    erased = said(here, "DataErased")
    assert (erased["incarnation"], erased["changedBy"]) == (kept["incarnation"], "kubectl-client-side-apply")
    here.kubectl("delete", "ragpipeline", "support")
    assert "catalog stays" in said(here, "Released")["message"]
