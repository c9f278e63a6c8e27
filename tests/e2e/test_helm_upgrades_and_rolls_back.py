"""`helm upgrade` and `helm rollback` under pods that answer all the while, also where an image can't be had.

The next release is this checkout under another version: images whose programs say that version, a chart of it, and
kinds that know a field more. The tests follow upon each other, as a person would live through it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.asking import api_key
from tests.cluster.fixtures import used_backend
from tests.e2e.place import RELEASE, Place, running
from tests.install import CHART

pytestmark = pytest.mark.e2e
FORMER, NEXT, MISSING = "dev", "0.1.1", "0.1.2"
FIELD = "known"
ASK = """
import json, os, time, urllib.request
headers = {"Authorization": "Bearer " + os.environ["KEY"], "Content-Type": "application/json"}
question = json.dumps({"question": "When does the bakery open?"}).encode()
answered = False
while True:
    try:
        with urllib.request.urlopen(urllib.request.Request(os.environ["URL"], question, headers), timeout=10) as answer:
            print(json.load(answer)["sources"][0]["path"], flush=True)
        answered = True
    except Exception as error:
        if answered:  # before, the network need not know this pod yet
            print(repr(error), flush=True)
    time.sleep(0.1)
"""
Answers = Callable[[], Counter[str]]


def chart_of(version: str, folder: Path) -> str:
    """The chart as a release of this version, whose kinds know a field that is named after it."""
    chart = folder / version
    shutil.copytree(CHART, chart)
    about = chart / "Chart.yaml"
    about.write_text(re.sub(r"^(version|appVersion): .*$", rf"\1: {version}", about.read_text(), flags=re.MULTILINE))
    for path in (chart / "templates" / "crds").iterdir():
        begin, *lines, end = path.read_text().splitlines()
        kind = yaml.safe_load("\n".join(lines))
        _fields(kind)[FIELD + version] = {"type": "string"}
        path.write_text("\n".join([begin, yaml.safe_dump(kind), end]))
    return str(chart)


def _fields(kind: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    return found


def known(place: Place) -> set[str]:
    """Of which later releases the kinds know a field."""
    listed = json.loads(place.kubectl("get", "crd", "-o", "json"))["items"]
    kinds = [kind for kind in listed if kind["spec"]["group"] == "rag-operator.dev"]
    assert len(kinds) == 2
    return {name.removeprefix(FIELD) for kind in kinds for name in _fields(kind) if name.startswith(FIELD)}


def upgrade(place: Place, chart: str, *settings: str, seconds: int = 240) -> None:
    """As a user does, who has set neither the operator's nor the runtime's tag."""
    tags = ("images.operator.tag=", "images.runtime.tag=")
    sets = [word for setting in (*tags, *settings) for word in ("--set", setting)]
    told = ("--reset-then-reuse-values", *sets, "--wait", f"--timeout={seconds}s")
    place.tools.helm("upgrade", RELEASE, chart, "-n", place.namespace, *told)


def rollback(place: Place, revision: int) -> None:
    place.tools.helm("rollback", RELEASE, str(revision), "-n", place.namespace, "--wait", "--timeout=240s")


def history(place: Place) -> list[dict[str, Any]]:
    """Revisions of the release, the oldest first."""
    found: list[dict[str, Any]] = json.loads(place.tools.helm("history", RELEASE, "-n", place.namespace, "-o", "json"))
    return found


def runs(place: Place, tag: str, rolled: int) -> None:
    """Wait until the operator and all query pods have this tag; the pods have been replaced so many times so far."""
    assert set(place.pods("operator").values()) == {f"rag-operator/operator:{tag}"}
    image = f"rag-operator/runtime:{tag}"

    def moved() -> bool:
        said = place.get("ragpipeline", "support")["status"]
        return said["runtimeVersion"] == tag and list(place.pods("query").values()) == [image] * 2

    place.told(moved, f"query pods of {tag}")
    place.kubectl("rollout", "status", "deployment/support-query", "--timeout=300s")
    place.wait_ready("ragpipeline", "support")
    for tenant in ("acme", "globex"):
        place.wait_ready("ragtenant", tenant)
        job = place.get("cronjob", f"{tenant}-ingest")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        assert job["containers"][0]["image"] == image
    assert rollouts(place) == rolled


def rollouts(place: Place) -> int:
    annotations = place.get("deployment", "support-query")["metadata"]["annotations"]
    return int(annotations["deployment.kubernetes.io/revision"])


def kept(place: Place) -> dict[str, Any]:
    """What no release may touch: data, identities, keys, the pods of database and cache."""
    found: dict[str, Any] = {"stores": place.pods("postgres") | place.pods("cache")}
    found["catalog"] = place.get("ragpipeline", "support")["status"]["catalogID"]
    for tenant in ("acme", "globex"):
        status = place.get("ragtenant", tenant)["status"]
        serving = {part: status["index"]["active"][part] for part in ("revision", "promotedAt", "chunks")}
        found[tenant] = (status["schema"], serving, api_key(place.tools, place.namespace, tenant))
    return found


@pytest.fixture(scope="module")
def first(place: Place) -> Iterator[int]:
    """The release's revision as it was installed; rolled back to at the end, whatever happened."""
    used_backend().release_images(NEXT)
    revision = int(history(place)[-1]["revision"])
    yield revision
    if set(place.pods("operator").values()) != {f"rag-operator/operator:{FORMER}"}:
        rollback(place, revision)


@pytest.fixture(scope="module")
def answers(place: Place, first: int) -> Iterator[Answers]:
    """What came back to a client in the cluster that asks ten times a second, from its first answer until now: one
    more came since this was called, so none of those asked before is still on its way."""
    address = f"http://support.{place.namespace}.svc:8000/v1/search"
    key = {"secretKeyRef": {"name": "acme-api-key", "key": "api-key"}}
    environment = ({"name": "URL", "value": address}, {"name": "KEY", "valueFrom": key})
    with running(place, place.namespace, ASK, {}, environment) as pod:

        def until_now() -> Counter[str]:
            return Counter(place.kubectl("logs", pod).split("\n")[:-1])

        def answered() -> Counter[str]:
            before = until_now().total()
            place.told(lambda: until_now().total() > before, "the client is answered")
            return until_now()

        answered()
        yield answered


def test_an_upgrade_brings_kinds_and_operator_and_replaces_query_pods_once_and_no_question_is_lost(
    place: Place, answers: Answers, tmp_path: Path
) -> None:
    before, rolled, operators = kept(place), rollouts(place), place.pods("operator")
    assert known(place) == set()
    upgrade(place, chart_of(NEXT, tmp_path))
    assert known(place) == {NEXT}
    assert not operators.keys() & place.pods("operator").keys()
    assert place.kubectl("exec", f"deployment/{RELEASE}", "--", "rag-operator", "--version").strip() == NEXT
    runs(place, NEXT, rolled + 1)
    assert kept(place) == before
    assert place.ask("globex", "When is reactor seven inspected?")["sources"][0]["path"] == "reactor.md"
    assert set(answers()) == {"opening.md"}
    assert answers().total() > 50


def test_an_operator_that_cannot_be_pulled_fails_the_upgrade_and_the_one_before_works_on(
    place: Place, answers: Answers, tmp_path: Path
) -> None:
    operators, pods, good = place.pods("operator"), place.pods("query"), int(history(place)[-1]["revision"])
    with pytest.raises(RuntimeError, match=r"rag-operator"):
        upgrade(place, chart_of(MISSING, tmp_path), seconds=10)
    assert (history(place)[-1]["status"], known(place)) == ("failed", {MISSING})
    place.told(lambda: operators.items() < place.pods("operator").items(), "another waits beside them")
    place.kubectl("delete", "poddisruptionbudget", "support-query")
    place.kubectl("annotate", "ragpipeline", "support", "look=again")
    place.told(lambda: bool(place.get("poddisruptionbudget", "support-query")), "the operator works on")
    assert place.pods("query") == pods
    rollback(place, good)
    last = history(place)[-1]
    assert (last["status"], last["app_version"]) == ("deployed", NEXT)
    assert (place.pods("operator"), place.pods("query")) == (operators, pods)
    assert known(place) == {NEXT}
    assert set(answers()) == {"opening.md"}


def test_query_pods_that_cannot_be_pulled_are_said_and_a_rollback_brings_the_former_release_back(
    place: Place, first: int, answers: Answers, tmp_path: Path
) -> None:
    before, pods, rolled = kept(place), place.pods("query"), rollouts(place)
    upgrade(place, chart_of(NEXT, tmp_path), f"images.runtime.tag={MISSING}")

    def said() -> bool:
        conditions = place.get("ragpipeline", "support")["status"]["conditions"]
        (degraded,) = [one for one in conditions if one["type"] == "Degraded"]
        return degraded["reason"] == "PodsFailing" and f"rag-operator/runtime:{MISSING}" in degraded["message"]

    place.told(said, "the image is named")
    assert place.ready("ragpipeline", "support")
    assert pods.items() < place.pods("query").items()
    rollback(place, first)
    assert known(place) == set()
    runs(place, FORMER, rolled + 2)
    assert kept(place) == before
    assert place.ask("acme", "How long does a refund take?")["sources"][0]["path"] == "refunds.md"
    assert set(answers()) == {"opening.md"}
