"""A7: before an uninstall the finalizers come off, and an operator that is installed again takes up without a write."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.looks import looks, stands_by
from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
KINDS = (("ragpipeline", "support"), ("ragtenant", "acme"))


def _finalizers(here: World) -> list[str]:
    return [one for kind, name in KINDS for one in (here.get(kind, name) or {})["metadata"].get("finalizers", [])]


def release(here: World) -> str:
    """Take the finalizers off as an uninstall does; what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "rag_operator", "release"],
        env=here.replicas[0].environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_released_resources_go_at_once_and_reinstalled_ones_are_taken_up_as_they_are(
    here: World, database: str
) -> None:
    first = here.operator()
    here.apply(pipeline(), tenant(), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    assert len(_finalizers(here)) == 2
    first.stop()
    said = release(here)
    assert "RagTenant" in said and "RagPipeline" in said
    assert _finalizers(here) == []
    mark = here.api.audit.mark()
    second = here.operator(resync_seconds="2")
    eventually(lambda: len(_finalizers(here)) == 2, "both are in hand again")
    looks(second)
    looks(second, kind="tenant")
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    changed = {write.resource for write in here.api.audit.writes(mark, user=here.user)}
    assert changed <= {"ragpipelines", "ragtenants", "leases", "events"}, "no child is touched"
    second.stop()
    release(here)
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    here.kubectl("delete", "ragpipeline", "support", "--timeout=180s")


def test_a_running_operator_keeps_its_finalizers_and_the_release_says_so_when_it_gives_up(here: World) -> None:
    """Under the Lease: a replica that still runs would put them on again."""
    here.operator()
    here.apply(pipeline())
    eventually(lambda: (here.get("ragpipeline", "support") or {})["metadata"].get("finalizers"), "in hand")
    command = [sys.executable, "-m", "rag_operator", "release"]
    with subprocess.Popen(command, env=here.replicas[0].environment, stdout=subprocess.DEVNULL) as releasing:
        stands_by(here, "release")
        assert releasing.poll() is None
        assert (here.get("ragpipeline", "support") or {})["metadata"]["finalizers"]
        here.replicas[0].stop()
        assert releasing.wait(180) == 0
    assert "finalizers" not in (here.get("ragpipeline", "support") or {})["metadata"]
