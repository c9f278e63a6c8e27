from __future__ import annotations

import json

import pytest

from rag_operator.api.cron import spread
from rag_operator.api.parse import parse_pipeline, parse_tenant
from tests.integration.admission.conftest import Kubectl
from tests.unit.api.examples import TAKEN, Example
from tests.unit.api.pods import REFUSED_PODS, TAKEN_PODS
from tests.unit.api.refused import REFUSED

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("example", TAKEN + TAKEN_PODS, ids=lambda e: e.about)
def test_a_right_resource_is_taken_and_reads_back_the_same(kubectl: Kubectl, example: Example) -> None:
    done = kubectl.apply(example.resource(), "--dry-run=server", "-o", "json")
    assert done.returncode == 0, done.stderr
    parse = parse_pipeline if example.kind == "RagPipeline" else parse_tenant
    assert parse(json.loads(done.stdout)).spec == parse(example.resource()).spec


@pytest.mark.parametrize("example", REFUSED + REFUSED_PODS, ids=lambda e: e.about)
def test_a_wrong_resource_is_refused_with_its_sentence(kubectl: Kubectl, example: Example) -> None:
    done = kubectl.apply(example.resource(), "--dry-run=server")
    assert done.returncode != 0, done.stdout
    finding = [line for line in done.stderr.splitlines() if (example.cluster_says or example.says) in line]
    assert finding, done.stderr
    assert plain(example.path) in plain(finding[0])
    assert "rule evaluation error" not in done.stderr
    assert "no such key" not in done.stderr


def plain(path: str) -> str:
    """Kubernetes writes a map's key as limits[cpu], pydantic as limits.cpu."""
    return path.replace("[", ".").replace("]", "")


def test_a_cron_job_takes_every_schedule_that_we_take(kubectl: Kubectl) -> None:
    taken = [e.spec["ingestion"]["schedule"] for e in TAKEN if "schedule" in e.spec.get("ingestion", {})]
    taken += [spread("*/15 * * * *", offset) for offset in range(15)] + [spread("0 3 * * *", 59)]
    done = kubectl.run(
        "apply",
        "--dry-run=server",
        "-f",
        "-",
        document={
            "kind": "List",
            "apiVersion": "v1",
            "items": [cron_job(i, schedule) for i, schedule in enumerate(taken)],
        },
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(taken) > 20


def cron_job(number: int, schedule: str) -> dict[str, object]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}
    spec = {"schedule": schedule, "timeZone": "Etc/UTC", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": f"a-{number}"}, "spec": spec}
