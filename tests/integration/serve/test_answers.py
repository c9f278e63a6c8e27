"""Answers over HTTP from real rows: what comes back, and to whom."""

from __future__ import annotations

import pytest

from rag_runtime.breaker import Breaker
from rag_runtime.contract.config import EVERYONE, Retrieval
from rag_runtime.retrieve import statements
from rag_runtime.retrieve.database import Database
from rag_runtime.retrieve.tenants import Target
from tests.integration.serve.conftest import ROBOTS, Laid, embed
from tests.integration.serve.running import eventually, serving

pytestmark = pytest.mark.integration


async def test_a_question_is_answered_with_its_source(laid: Laid) -> None:
    async with serving(laid.config()) as running:
        response = await running.ask("acme", "When do I get my salary?")
    assert response.status == 200
    body = response.body
    assert "25th" in body["answer"]
    assert body["sources"][0]["title"] == "Pay"
    assert body["sources"][0]["n"] == 1
    assert body["tenant"] == "rag/acme"
    assert (body["revision"], body["from_cache"], body["degraded"]) == (1, False, False)
    assert body["retrieval_count"] == len(body["sources"]) > 0
    assert body["model"] == "extractive"
    assert body["request_id"] == response.headers["x-request-id"]
    assert {"authenticate", "validate", "embed", "retrieve", "answer"} <= body["timings"].keys()


async def test_a_key_finds_nothing_of_another_tenant(laid: Laid) -> None:
    async with serving(laid.config()) as running:
        for question in ("What does error E1047 mean?", "When is the gearbox oil changed?"):
            assert (await running.ask("robots", question)).body["sources"]
            found = (await running.ask("acme", question)).body
            assert found["sources"] == []
            assert found["model"] is None


async def test_tenants_of_one_name_in_two_namespaces_share_nothing(laid: Laid, redis_url: str) -> None:
    """The incarnation tells them apart: in keys, schemas, readers, caches and figures."""
    twin = laid.catalog.add_tenant("acme", namespace="sales")
    laid.catalog.promote(twin.incarnation, laid.lay(twin, ROBOTS))
    salary, robots = "When do I get my salary?", "What does error E1047 mean?"
    async with serving(laid.config(cache=laid.cache(redis_url))) as running:

        async def cached() -> bool:
            mine = (await running.ask("acme", salary)).body
            theirs = (await running.ask("sales/acme", robots)).body
            assert (mine["tenant"], theirs["tenant"]) == ("rag/acme", "sales/acme")
            assert {source["title"] for source in mine["sources"]}.isdisjoint({"Errors", "Maintenance"})
            assert {source["title"] for source in theirs["sources"]} <= {"Errors", "Maintenance"}
            assert mine["sources"]
            assert theirs["sources"]
            return bool(mine["from_cache"] and theirs["from_cache"])

        await eventually(cached)
        assert (await running.ask("sales/acme", salary)).body["sources"] == []
        assert (await running.ask("acme", robots)).body["sources"] == []
        async with running.http.get(f"{running.url}/metrics") as response:
            figures = await response.text()
    assert 'tenant="rag/acme"' in figures
    assert 'tenant="sales/acme"' in figures


async def test_documents_of_an_acl_that_the_caller_lacks_are_not_found(laid: Laid) -> None:
    async with serving(laid.config()) as running:
        found = (await running.post("/v1/search", "acme", question="What is the code name of the merger?")).body
    assert all("Bluebird" not in source["text"] for source in found["sources"])


async def test_the_wrong_reader_in_sql_fails_closed(laid: Laid) -> None:
    """A bug that mixes up tenants meets Postgres: no right on the view, or no row in it."""
    database = Database(laid.config().database, Breaker("postgres"))
    vector = embed(["gearbox oil"])[0]

    def target(tenant_of_setting: str, reader: str) -> Target:
        tenant = laid.acme if tenant_of_setting == "acme" else laid.robots
        return Target(tenant.incarnation, laid.robots.schema, reader, 0, 1, laid.shape, (EVERYONE,))

    try:
        right = target("robots", laid.robots.reader)
        rows = await database.as_reader(right, [statements.nearest(right, vector, 5)], 40, 5)
        assert len(rows[0]) == len(ROBOTS)
        wrong_setting = target("acme", laid.robots.reader)
        assert await database.as_reader(wrong_setting, [statements.nearest(wrong_setting, vector, 5)], 40, 5) == [[]]
        wrong_reader = target("robots", laid.acme.reader)
        with pytest.raises(Exception, match="permission denied"):
            await database.as_reader(wrong_reader, [statements.nearest(wrong_reader, vector, 5)], 40, 5)
    finally:
        await database.close()


async def test_an_exact_identifier_is_found(laid: Laid) -> None:
    async with serving(laid.config()) as running:
        for question in ("E1047", "what is e1047?"):
            assert (await running.ask("robots", question)).body["sources"][0]["title"] == "Errors"


async def test_nonsense_finds_nothing(laid: Laid) -> None:
    """Also where a word or two are shared with a passage."""
    questions = (
        "Who won the football world cup on Mars?",
        "Which employee of the circus juggles five oranges?",
        "qwrtz plmbf xkcd",
        "why",
    )
    async with serving(laid.config()) as running:
        for question in questions:
            body = (await running.ask("acme", question)).body
            assert body["answer"] == "I don't know based on the available knowledge.", question
            assert body["sources"] == []


@pytest.mark.parametrize("mode", ["Vector", "Lexical", "Hybrid"])
async def test_each_mode_of_retrieval_answers(laid: Laid, mode: str) -> None:
    async with serving(laid.config(retrieval=Retrieval.model_validate({"mode": mode}))) as running:
        body = (await running.ask("acme", "How many days of paid holiday does an employee have?")).body
    assert body["sources"][0]["title"] == "Holidays"
    assert body["degraded"] is False


async def test_top_k_bounds_the_sources(laid: Laid) -> None:
    async with serving(laid.config(retrieval=Retrieval(min_score=-1.0))) as running:
        assert len((await running.post("/v1/search", "acme", question="pay holiday", top_k=1)).body["sources"]) == 1
        assert len((await running.post("/v1/search", "acme", question="pay holiday", top_k=5)).body["sources"]) == 2


async def test_a_tenant_without_an_index_is_told_so(laid: Laid) -> None:
    laid.catalog.add_tenant("newcomer")
    async with serving(laid.config()) as running:
        response = await running.ask("newcomer", "anything?")
    assert response.status == 503
    assert response.body["error"]["type"] == "no_index"
    assert int(response.headers["retry-after"]) > 0
