"""The HTTP surface: errors that name the field, streams, health, metrics, and the OpenAPI document."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from rag_runtime.serve.edge import MAX_BODY_BYTES
from tests.integration.serve.conftest import Laid
from tests.integration.serve.running import Running, serving
from tests.integration.serve.schema import problems
from tests.support.catalog import api_key_of

pytestmark = pytest.mark.integration

KEY = {"authorization": f"Bearer {api_key_of('acme')}"}
QUESTION = {"question": "When do I get my salary?"}


async def test_each_error_is_json_and_names_the_field(laid: Laid) -> None:
    cases: list[tuple[str, str, dict[str, str], bytes, int, str, str | None]] = [
        ("POST", "/v1/query", KEY, b"{", 400, "invalid_request", None),
        ("POST", "/v1/query", KEY, b"[]", 400, "invalid_request", None),
        ("POST", "/v1/query", KEY, b"{}", 422, "invalid_field", "question"),
        ("POST", "/v1/query", KEY, b'{"question": "  "}', 422, "invalid_field", "question"),
        ("POST", "/v1/query", KEY, json.dumps({"question": "x" * 4001}).encode(), 422, "invalid_field", "question"),
        ("POST", "/v1/query", KEY, b'{"question": "a", "top_k": 0}', 422, "invalid_field", "top_k"),
        ("POST", "/v1/query", KEY, b'{"question": "a", "topk": 3}', 422, "invalid_field", "topk"),
        ("POST", "/v1/query", KEY, b" " * (MAX_BODY_BYTES + 1), 413, "too_large", None),
        ("POST", "/v1/query", {}, b"{}", 401, "unauthenticated", "authorization"),
        ("POST", "/v1/search", {"authorization": "Bearer wrong"}, b"{}", 401, "unauthenticated", "authorization"),
        ("POST", "/v1/search", {"authorization": "Basic abc"}, b"{}", 401, "unauthenticated", "authorization"),
        ("POST", "/v1/chat/completions", KEY, b'{"messages": []}', 422, "invalid_field", "messages"),
        ("GET", "/v1/query", KEY, b"", 405, "method_not_allowed", None),
        ("GET", "/nowhere", KEY, b"", 404, "not_found", None),
    ]
    async with serving(laid.config()) as running:
        document = await openapi(running)
        for method, path, headers, data, status, kind, field in cases:
            async with running.http.request(method, running.url + path, data=data, headers=headers) as response:
                body = await response.json()
                assert (response.status, body["error"]["type"]) == (status, kind), (path, data[:40], body)
                assert body["error"].get("field") == field, body
                assert not problems(document, {"$ref": "#/components/schemas/ErrorResponse"}, body)
                assert response.headers["x-request-id"]


async def test_an_error_quotes_nothing_of_the_question(laid: Laid) -> None:
    async with serving(laid.config()) as running:
        response = await running.post("/v1/query", "acme", question="confidential " * 1000)
    assert response.status == 422
    assert "confidential" not in json.dumps(response.body)


async def test_the_key_may_come_as_x_api_key_and_the_request_id_from_the_caller(laid: Laid) -> None:
    headers = {"x-api-key": api_key_of("acme"), "x-request-id": "a-callers-own-id"}
    async with (
        serving(laid.config()) as running,
        running.http.post(f"{running.url}/v1/query", json=QUESTION, headers=headers) as response,
    ):
        assert response.status == 200
        assert (await response.json())["request_id"] == response.headers["x-request-id"] == "a-callers-own-id"


async def test_a_stream_tells_sources_then_text_then_the_whole(laid: Laid) -> None:
    async with serving(laid.config()) as running:
        document = await openapi(running)
        async with running.http.post(f"{running.url}/v1/query", json=QUESTION | {"stream": True}, headers=KEY) as got:
            assert got.headers["content-type"].startswith("text/event-stream")
            frames = [frame.split("\n", 1) for frame in (await got.text()).strip().split("\n\n")]
    events = [(event.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for event, data in frames]
    assert events[0][0] == "sources"
    assert events[-1][0] == "done"
    text = "".join(data["text"] for name, data in events if name == "text")
    done = events[-1][1]
    assert text == done["answer"]
    assert "25th" in text
    assert events[0][1]["sources"] == done["sources"]
    assert not problems(document, {"$ref": "#/components/schemas/QueryResponse"}, done)


async def test_errors_of_a_stream_come_as_a_status(laid: Laid) -> None:
    laid.catalog.add_tenant("newcomer")
    async with serving(laid.config()) as running:
        response = await running.ask("newcomer", "anything?", stream=True)
    assert response.status == 503


async def openapi(running: Running) -> dict[str, Any]:
    async with running.http.get(f"{running.url}/openapi.json") as response:
        document: dict[str, Any] = await response.json()
        return document


async def test_the_openapi_document_holds_for_real_responses(laid: Laid) -> None:
    chat = {"model": "any", "messages": [{"role": "user", "content": "When do I get my salary?"}]}
    async with serving(laid.config()) as running:
        document = await openapi(running)
        for path, item in document["paths"].items():
            for method, operation in item.items():
                body = chat if "chat" in path else QUESTION
                options: dict[str, Any] = {"json": body} if "requestBody" in operation else {}
                async with running.http.request(method, running.url + path, headers=KEY, **options) as response:
                    assert str(response.status) in operation["responses"], path
                    assert response.status == 200, path
                    content = operation["responses"]["200"].get("content", {}).get("application/json")
                    if content is not None:
                        assert not problems(document, content["schema"], await response.json()), path
    routes = {"/v1/query", "/v1/search", "/v1/chat/completions", "/v1/models", "/healthz", "/readyz", "/metrics"}
    assert document["paths"].keys() == routes | {"/openapi.json"}


async def test_metrics_count_requests_by_tenant_and_outcome(laid: Laid, redis_url: str) -> None:
    async with serving(laid.config(cache=laid.cache(redis_url))) as running:
        await running.ask("acme", "When do I get my salary?")
        await running.ask("acme", "Who won the football world cup on Mars?")
        async with running.http.get(f"{running.url}/metrics") as response:
            text = await response.text()
    assert 'rag_query_requests_total{outcome="answered",route="/v1/query",tenant="rag/acme"} 1.0' in text
    assert 'rag_query_requests_total{outcome="no_answer",route="/v1/query",tenant="rag/acme"} 1.0' in text
    assert 'rag_query_stage_seconds_count{stage="retrieve"} 2.0' in text
    assert 'rag_cache_lookups_total{cache="answer",result="miss"} 2.0' in text
    assert 'rag_breaker_state{breaker="postgres"} 0.0' in text
    assert 'rag_retrieval_empty_total{tenant="rag/acme"} 1.0' in text
    assert "rag_catalog_tenants 2.0" in text


async def test_logs_hold_no_question_no_passage_and_no_key(laid: Laid, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving(laid.config()) as running:
        await running.ask("acme", "When do I get my salary?")
        await running.ask("acme", "")
    lines = "\n".join(str(record.__dict__) for record in caplog.records)
    assert "/v1/query" in lines
    for secret in ("my salary", "25th", api_key_of("acme")):
        assert secret not in lines
