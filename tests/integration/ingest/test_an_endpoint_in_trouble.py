"""What an embedding endpoint's trouble does to a run, over real HTTP where the trouble is the endpoint's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from rag_runtime.contract.config import EmbeddingProfile, Endpoint
from rag_runtime.ingest import run as run_module
from rag_runtime.ingest.embedding import PatientEmbedder
from rag_runtime.models.errors import ModelRejected, ModelUnavailable
from rag_runtime.models.factory import document_embedder
from tests.integration.ingest.harness import SHAPE, Desk
from tests.support.openai_server import Behaviour, openai_server


def _endpoint(desk: Desk, base_url: str, dimensions: int = 32) -> None:
    profile = EmbeddingProfile(model="m", dimensions=dimensions, endpoint=Endpoint(base_url=base_url))
    desk.configure(shape=SHAPE.model_copy(update={"profile": profile}))


async def _run(desk: Desk, expected: int = 0) -> None:
    run = desk.new_run()
    run.opener = document_embedder
    assert await run.run() == expected, run.counts


async def test_documents_are_embedded_over_http_and_a_rate_limit_is_waited_out(desk: Desk) -> None:
    desk.write(**{f"page{i}": f"words of page {i}" for i in range(5)})
    async with openai_server(Behaviour(dimensions=32)) as server:
        _endpoint(desk, server.base_url)
        server.fail(429, times=2, retry_after=0.05)
        await _run(desk)
    assert len(desk.chunks()) == 5


async def test_a_wrong_key_fails_the_run_and_makes_no_dead_letter(desk: Desk) -> None:
    desk.write(page="words")
    async with openai_server(Behaviour(dimensions=32, api_key="right")) as server:
        _endpoint(desk, server.base_url)
        await _run(desk, expected=1)
        assert desk.letters() == {}
        assert desk.summary()["lastIngestion"]["message"]
        server.behaviour.api_key = None
        await _run(desk)
    assert len(desk.chunks()) == 1


async def test_wrong_dimensions_fail_the_run_with_a_sentence(desk: Desk) -> None:
    desk.write(page="words")
    async with openai_server(Behaviour(dimensions=48)) as server:
        _endpoint(desk, server.base_url)
        await _run(desk, expected=1)
    assert "48" in desk.summary()["lastIngestion"]["message"]
    assert desk.letters() == {}


async def test_a_chunk_that_is_refused_for_good_is_left_out_and_the_watermark_moves_on(desk: Desk) -> None:
    paragraphs = [
        f"Paragraph {i} has words of its own which fill a chunk quite well, or so one hopes. " * 2 for i in range(4)
    ]

    async def refuse(texts: Sequence[str]) -> None:
        if any("Paragraph 2" in text for text in texts):
            raise ModelRejected("this text is refused")

    desk.embedder.before = refuse
    desk.write(long="\n\n".join(paragraphs), other="other words")
    assert (await desk.run())["failed"] == 1
    written = [chunk[2] for chunk in desk.chunks()]
    assert "other words" in written
    assert any("Paragraph 1" in text for text in written)
    assert not any("Paragraph 2" in text for text in written)
    assert desk.letters() == {"long.md": "EmbeddingRefused"}
    (message,) = (row[0] for row in desk.rows("SELECT message FROM {c}.dead_letter"))
    assert message.startswith("long.md: ")
    assert "chunks are refused: this text is refused" in message
    assert (await desk.run())["embedded"] == 0, "the watermark has moved on"
    desk.embedder.before = None
    desk.write(long="mended")
    await desk.run()
    assert desk.letters() == {}


async def test_an_endpoint_that_stays_away_fails_the_run_and_the_next_continues_from_the_watermark(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_runtime.ingest.index.MOST_CHUNKS", 2)

    monkeypatch.setattr(run_module, "PatientEmbedder", partial(PatientEmbedder, patience=0.0))
    calls = 0

    async def fail_later(texts: Sequence[str]) -> None:
        nonlocal calls
        calls += 1
        if calls >= 3:
            raise ModelUnavailable("the endpoint is away")

    desk.embedder.before = fail_later
    desk.write(**{f"page{i}": f"words of page {i}" for i in range(8)})
    first = await desk.run(expected=1)
    assert first["embedded"] == 4
    assert len(desk.chunks()) in {2, 4}
    assert "the endpoint is away" in desk.summary()["lastIngestion"]["message"]
    assert desk.letters() == {}
    desk.embedder.before = None
    second = await desk.run()
    assert second["parsed"] == 0
    assert second["embedded"] in {4, 6}
    assert len(desk.chunks()) == 8


async def test_a_profile_that_the_built_in_model_lacks_is_told_in_the_summary(desk: Desk) -> None:
    profile = EmbeddingProfile(model="all-MiniLM-L6-v2", dimensions=100)
    desk.configure(shape=SHAPE.model_copy(update={"profile": profile}))
    await _run(desk, expected=2)
    last = desk.summary()["lastIngestion"]
    assert last["message"].startswith("shape.profile: ")
    assert last["succeeded"] is False
