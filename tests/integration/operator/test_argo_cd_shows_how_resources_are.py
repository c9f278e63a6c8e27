"""A6: the health that Argo CD shows by examples/argocd, at states that a real operator reaches; no diff with Git."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support.argocd import health
from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
PRODUCTION = Path(__file__).parents[3] / "examples" / "production"


def _shown(here: World, kind: str, name: str) -> tuple[str, str]:
    live = here.get(kind, name)
    assert live is not None
    return health(live)


def _becomes(here: World, kind: str, name: str, status: str, about: str) -> None:
    def look() -> bool:
        found, message = _shown(here, kind, name)
        return found == status and about in message

    eventually(look, f"{kind}/{name} is {status}: {about}", 180)


def test_each_state_has_the_health_that_a_person_would_give_it(here: World, database: str) -> None:
    here.apply(pipeline(), tenant(suspend=True))
    assert _shown(here, "ragpipeline", "support")[0] == "Progressing", "nobody has looked yet"
    operator = here.operator()
    _becomes(here, "ragpipeline", "support", "Degraded", "Secret")
    _becomes(here, "ragtenant", "acme", "Progressing", "not bound to its database yet")

    here.apply(here.database_secret(database), HANDBOOK)
    _becomes(here, "ragpipeline", "support", "Progressing", "no ready pod")
    _becomes(here, "ragtenant", "acme", "Suspended", "spec.suspend is true")

    here.apply(pipeline(paused=True))
    _becomes(here, "ragpipeline", "support", "Suspended", "serving goes on")
    here.apply(pipeline(paused=False))
    _becomes(here, "ragpipeline", "support", "Progressing", "no ready pod")

    operator.stop()
    here.apply(pipeline(chunking={"size": 128}))
    assert _shown(here, "ragpipeline", "support") == ("Progressing", "the operator has not seen the newest spec yet")
    operator.start()
    _becomes(here, "ragpipeline", "support", "Progressing", "no ready pod")

    here.kubectl("delete", "ragpipeline", "support", "--wait=false")
    _becomes(here, "ragpipeline", "support", "Progressing", "acme")


@pytest.mark.parametrize("way", [[], ["--server-side"]], ids=["client-side", "server-side"])
def test_what_git_says_stays_as_it_is(way: list[str], here: World, database: str) -> None:
    given = [yaml.safe_load((PRODUCTION / name).read_text()) for name in ("pipeline.yaml", "tenant.yaml")]
    text = yaml.safe_dump_all(given)
    here.api.kubectl("apply", *way, "-n", here.namespace, "-f", "-", given=text)
    here.apply(here.database_secret(database, "support-db-app"))
    operator = here.operator()
    eventually(lambda: _brought(here, "ragpipeline", "support"), "the pipeline is brought", 180)
    eventually(lambda: _brought(here, "ragtenant", "acme"), "the tenant is brought", 180)
    operator.stop()  # kubectl reads twice: what is written in between is a difference too
    assert here.api.kubectl("diff", *way, "-n", here.namespace, "-f", "-", given=text) == ""


def _brought(here: World, kind: str, name: str) -> bool:
    """Its finalizer and its status are there."""
    live = here.get(kind, name) or {}
    return bool(live.get("metadata", {}).get("finalizers") and live.get("status", {}).get("observedGeneration"))
