"""A8: while Postgres is away, what its catalog last said is known to a new leader too: by the pods that run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import postgres
from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant
from tests.support.revisions import build_revision

pytestmark = pytest.mark.integration
CHUNKS: dict[str, Any] = {"chunking": {"size": 100}}


def model(name: str, port: int) -> dict[str, Any]:
    """A pipeline whose vectors are of this model, behind this port."""
    endpoint = {"baseURL": f"https://{name}.example:{port}/v1"}
    return pipeline(embedding={"endpoint": endpoint, "model": name, "dimensions": 8}, **CHUNKS)


def served(here: World) -> list[Any]:
    """The query pods' template, and where they may go to."""
    pods = here.get("deployment", "support-query") or {}
    policy = here.get("networkpolicy", "support-query") or {}
    return [pods.get("spec", {}).get("template"), policy.get("spec")]


def configured(here: World) -> str:
    """The text of the configuration that new pods would have."""
    template = served(here)[0]
    volumes = template["spec"]["volumes"] if template else []
    name = next((volume["configMap"]["name"] for volume in volumes if volume["name"] == "config"), "")
    return "".join((here.get("configmap", name) or {}).get("data", {}).values()) if name else ""


def test_a_model_that_a_revision_answers_with_stays_within_reach(here: World, own_server: postgres.Server) -> None:
    replica = here.operator()
    here.apply(model("former", 8001), tenant(suspend=True), HANDBOOK, here.database_secret(own_server.dsn()))
    build_revision(here, "acme", 100)
    here.wait_audited("Promoted")
    here.apply(model("newer", 8002))
    eventually(lambda: all(f"{name}.example" in configured(here) for name in ("former", "newer")), "both are known")
    eventually(lambda: all(port in str(served(here)[1]) for port in ("8001", "8002")), "both are within reach")
    eventually(lambda: replica.scrape().is_idle(), "nothing is under way")
    replica.stop()
    own_server.stop()
    before = served(here)
    here.operator()
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "DatabaseUnreachable")
    assert served(here) == before
    here.apply(model("third", 8003))
    eventually(lambda: "third.example" in configured(here), "a change goes through")
    assert "former.example" in configured(here)
    assert all(port in str(served(here)[1]) for port in ("8001", "8003"))
