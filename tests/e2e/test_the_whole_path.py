"""The two resources of the minimal example, as they stand, on real pods: Ready, answering, apart, and hard to break."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from rag_operator.kube.errors import NOT_KNOWN_YET
from tests.asking import api_key, forwarded, post
from tests.e2e.place import ACME, PATIENCE, PIPELINE, Place, granted, handbook
from tests.support.argocd import health
from tests.support.operator import eventually
from tests.support.rights import ASKED_FOR, SHOWN_BY

pytestmark = pytest.mark.e2e


def test_a_question_is_answered_with_the_right_document(place: Place) -> None:
    answer = place.ask("acme", "When does the bakery open?")
    assert answer["sources"][0]["path"] == "opening.md"
    assert "six in the morning" in answer["answer"]
    assert answer["degraded"] is False


def test_one_tenant_s_key_finds_nothing_of_another(place: Place) -> None:
    found = place.ask("acme", "When is the cooling pump of reactor seven inspected?", "/v1/search")
    assert not [source for source in found["sources"] if "reactor" in source["text"].lower()]
    answer = place.ask("acme", "When is the cooling pump of reactor seven inspected?")
    assert "Tuesday" not in answer["answer"]
    assert "Tuesday" in place.ask("globex", "When is the cooling pump of reactor seven inspected?")["answer"]


def test_nothing_relevant_is_said_so(place: Place) -> None:
    answer = place.ask("globex", "Which football club won the cup in 1954?")
    assert answer["answer"] == "I don't know based on the available knowledge."
    assert answer["model"] is None


def test_the_columns_tell_at_a_glance(place: Place) -> None:
    def shown(kind: str, name: str) -> list[str]:
        return next(line for line in place.kubectl("get", kind).splitlines() if line.startswith(name)).split()

    place.told(lambda: shown("ragp", "support")[:4] == ["support", "True", "Ready", "2/2"], "the pipeline's row")
    place.told(lambda: shown("ragt", "acme")[:5] == ["acme", "support", "True", "Ready", "2"], "the tenant's row")
    assert health(place.get("ragpipeline", "support"))[0] == health(place.get("ragtenant", "acme"))[0] == "Healthy"


def test_a_second_ingestion_over_unchanged_input_parses_and_embeds_nothing(place: Place) -> None:
    over = place.sync("acme")
    assert (over["unchanged"], over["parsed"], over["embedded"]) == (2, 0, 0)


def test_a_changed_page_is_answered_from_after_the_next_ingestion_and_no_stale_answer_stays(place: Place) -> None:
    question = "How long does a refund take?"
    assert "fourteen days" in place.ask("acme", question)["answer"]
    place.told(lambda: place.ask("acme", question)["from_cache"] is True, "the answer is kept")
    place.apply(handbook("acme", **ACME | {"refunds": ACME["refunds"].replace("fourteen", "thirty")}))
    time.sleep(2)
    place.sync("acme")
    changed = place.ask("acme", question)
    assert "thirty days" in changed["answer"]
    assert changed["from_cache"] is False


def test_another_chunk_size_builds_a_new_revision_beside_the_serving_one(place: Place) -> None:
    spec: dict[str, Any] = {"database": {"managed": {}}, "chunking": {"size": 120}}
    before = place.get("ragtenant", "globex")["status"]["index"]["active"]["revision"]
    place.apply(PIPELINE | {"spec": spec})

    def promoted() -> bool:
        return bool(place.get("ragtenant", "globex")["status"]["index"]["active"]["revision"] > before)

    asked = 0
    deadline = time.monotonic() + PATIENCE
    key = api_key(place.tools, place.namespace, "globex")
    with forwarded(place.tools, place.namespace, "service/support") as address:
        while not promoted() and time.monotonic() < deadline:
            status, body = post(f"{address}/v1/search", key, {"question": "reactor seven"})
            assert status == 200, body
            assert body["sources"][0]["path"] == "reactor.md"
            asked += 1
    assert promoted()
    assert asked > 3
    place.wait_ready("ragtenant", "globex")


@pytest.mark.parametrize("many", [1, 2])
def test_killed_operator_pods_come_back_and_reconcile(place: Place, many: int) -> None:
    pods = place.kubectl("get", "pods", "-l", "app.kubernetes.io/component=operator", "-o", "name").split()[:many]
    place.kubectl("delete", "--grace-period=0", "--force", *pods)
    place.kubectl("delete", "service", "support")
    eventually(lambda: place.get("service", "support"), "the Service comes back", PATIENCE)
    assert place.ask("acme", "When does the bakery open?")["sources"]


def test_a_database_that_is_away_is_said_and_heals(place: Place) -> None:
    place.wait_ready("ragpipeline", "support")
    place.kubectl("create", "quota", "no-new-pods", "--hard=pods=0")
    try:
        place.kubectl("delete", "pod", "support-postgres-0", "--grace-period=1")
        place.told(lambda: not place.ready("ragpipeline", "support"), "the pipeline says so")
        eventually(_answers(place, 503), "what is not cached is refused, and soon to be tried again", PATIENCE)
        assert place.get("deployment", "support-query")["status"]["readyReplicas"] == 2
    finally:
        place.kubectl("delete", "quota", "no-new-pods")
    place.wait_ready("ragpipeline", "support")
    place.wait_ready("ragtenant", "acme")
    eventually(_answers(place), "answers again", PATIENCE)


def _answers(place: Place, status: int = 200) -> Callable[[], bool]:
    def look() -> bool:
        with forwarded(place.tools, place.namespace, "service/support") as address:
            key = api_key(place.tools, place.namespace, "acme")
            return post(f"{address}/v1/search", key, {"question": "bakery"})[0] == status

    return look


def test_the_number_of_pods_can_be_given_to_an_autoscaler_and_taken_back(place: Place) -> None:
    place.apply(PIPELINE | {"spec": {"database": {"managed": {}}, "scaling": {"minReplicas": 2, "maxReplicas": 3}}})
    eventually(lambda: place.get("horizontalpodautoscaler", "support-query"), "the autoscaler", PATIENCE)
    place.kubectl("label", "--overwrite", "horizontalpodautoscaler", "support-query", "app.kubernetes.io/name=x")
    place.apply(PIPELINE)
    eventually(lambda: not place.get("horizontalpodautoscaler", "support-query"), "it goes", PATIENCE)
    place.wait_ready("ragpipeline", "support")


def test_a_deleted_tenant_is_refused_and_the_other_answers_on(place: Place) -> None:
    key = api_key(place.tools, place.namespace, "globex")
    place.kubectl("delete", "ragtenant", "globex", "--timeout=300s")
    with forwarded(place.tools, place.namespace, "service/support") as address:
        status, _ = post(f"{address}/v1/search", key, {"question": "reactor seven"})
    assert status == 401
    assert place.ask("acme", "When does the bakery open?")["sources"]


def test_the_operator_uses_every_right_that_it_is_granted_and_is_refused_none(place: Place) -> None:
    audit = place.cluster.audit
    refused = [e for e in audit.entries(user=place.account) if e.code in (401, 403)]
    assert not [e for e in refused if NOT_KNOWN_YET not in e.message]
    used = {(u.group, u.resource, u.verb) for u in audit.used(user=place.account)}
    roles = json.loads(place.kubectl("get", "roles", "-o", "json"))["items"]
    # An apply that makes an object needs `create` too and is logged as `patch`.
    applied = {(group, resource, "create") for group, resource, verb in used if verb == "patch"}
    unused = sorted(granted(roles) - used - applied - SHOWN_BY.keys() - ASKED_FOR.keys())
    assert not unused, f"granted and never used: {unused}"
