"""The figures of the issue: 0 parses, 0 embeddings; and what a run that has something to do leaves alone."""

from __future__ import annotations

import pytest

from rag_runtime.contract.config import EmbeddingProfile, IndexType, Quantization
from rag_runtime.ingest import copying, index, report
from tests.integration.ingest.harness import DIMENSIONS, SHAPE, Desk, HashEmbedder, other


async def test_no_parse_no_embedding_and_no_row_is_written(desk: Desk) -> None:
    desk.write(**{f"page{i}": f"# Page {i}\n\nwords of page {i}" for i in range(30)})
    first = await desk.run()
    assert (first["added"], first["parsed"], first["embedded"]) == (30, 30, 30)
    rows = desk.rows("SELECT xmin, * FROM {s}.document ORDER BY id"), desk.rows("SELECT xmin, * FROM {s}.chunk_r1")
    second = await desk.run()
    assert second == dict.fromkeys(second, 0) | {"unchanged": 30}
    again = desk.rows("SELECT xmin, * FROM {s}.document ORDER BY id"), desk.rows("SELECT xmin, * FROM {s}.chunk_r1")
    assert again == rows


async def test_only_what_changed_is_parsed_and_embedded(desk: Desk) -> None:
    desk.write(**{f"page{i}": f"words of page {i}" for i in range(10)})
    await desk.run()
    desk.write(page3="other words of page 3", page10="words of page 10")
    desk.remove("page4")
    counts = await desk.run()
    assert counts == {
        "added": 1, "updated": 1, "deleted": 1, "unchanged": 8, "failed": 0, "parsed": 2, "embedded": 2
    }  # fmt: skip
    assert sorted(chunk[2] for chunk in desk.chunks())[0] == "other words of page 3"


async def test_the_real_embedder_fills_a_revision_that_is_ready(desk: Desk) -> None:
    desk.write(**{f"page{i}": f"# Page {i}\n\nThe quick brown fox jumps over page {i}." for i in range(4)})
    desk.configure(shape=SHAPE.model_copy(update={"profile": EmbeddingProfile()}))
    run = desk.new_run()
    run.opener = type(run)(desk.config, "unused").opener
    assert await run.run() == 0
    assert desk.rows("SELECT number, state, built FROM {s}.revision") == [(1, "Ready", True)]
    norms = desk.rows("SELECT vector_norm(embedding::public.vector) FROM {s}.chunk_r1")
    assert all(abs(row[0] - 1) < 0.01 for row in norms)
    assert desk.summary()["ready"]["chunks"] == 4


async def test_a_spec_that_returns_finds_its_revision_again(desk: Desk) -> None:
    desk.write(page="words")
    await desk.run()
    desk.configure(shape=other())
    await desk.run()
    desk.configure(shape=SHAPE)
    assert (await desk.run())["embedded"] == 0
    assert desk.rows("SELECT number FROM {s}.revision ORDER BY 1") == [(1,), (2,)]


async def test_the_serving_revision_stays_fresh_while_the_next_is_built(desk: Desk) -> None:
    desk.write(page="words")
    await desk.run()
    desk.promote()
    desk.configure(shape=other(), profiles={SHAPE.profile.identity: SHAPE.profile})
    desk.write(page="newer words", added="added words")
    assert (await desk.run())["parsed"] == 2
    for revision in (1, 2):
        assert [chunk[2] for chunk in desk.chunks(revision)] == ["added words", "newer words"]
    states = desk.rows("SELECT number, state FROM {s}.revision ORDER BY 1")
    assert states == [(1, "Active"), (2, "Ready")]


async def test_a_serving_revision_whose_profile_is_gone_is_named_and_the_next_is_built(desk: Desk) -> None:
    from rag_runtime.contract.config import Endpoint

    profile = SHAPE.profile.model_copy(update={"endpoint": Endpoint(base_url="https://old.example/v1")})
    desk.configure(shape=SHAPE.model_copy(update={"profile": profile}))
    desk.write(page="words")
    await desk.run()
    desk.promote()
    desk.configure(shape=SHAPE)
    desk.write(page="newer words")
    await desk.run()
    assert [chunk[2] for chunk in desk.chunks(1)] == ["words"]
    assert [chunk[2] for chunk in desk.chunks(2)] == ["newer words"]
    assert "revision 1 serves, but is not kept fresh" in desk.summary()["lastIngestion"]["message"]


@pytest.mark.parametrize("quantization", list(Quantization))
@pytest.mark.parametrize("kind", list(IndexType))
async def test_every_kind_of_index_holds_the_vectors_that_were_embedded(
    desk: Desk, quantization: Quantization, kind: IndexType
) -> None:
    desk.write(page="words", umlaut="Größe „in“ 東京 🦊")
    desk.configure(shape=SHAPE.model_copy(update={"quantization": quantization, "type": kind}))
    desk.configure_source(acl=["a,b", 'quo"te', "ü"], metadata={"ключ": "значение"})
    await desk.run()
    rows = desk.rows(
        "SELECT text, embedding::public.vector::real[], acl, metadata, expires_at, tokens > 0, title, uri"
        " FROM {s}.chunk_r1 ORDER BY path"
    )
    expected = await HashEmbedder().embed([row[0] for row in rows])
    for row, vector in zip(rows, expected, strict=True):
        assert len(row[1]) == DIMENSIONS
        assert max(abs(a - b) for a, b in zip(row[1], vector, strict=True)) < 1e-3
        assert row[2:6] == (["a,b", 'quo"te', "ü"], {"ключ": "значение"}, None, True)
    assert [row[0] for row in rows] == ["words", "Größe „in“ 東京 🦊"]
    methods = {row[0] for row in desk.rows("SELECT indexdef FROM pg_indexes WHERE tablename = 'chunk_r1'")}
    assert any("hnsw" in one for one in methods) == (kind is IndexType.HNSW)


async def test_a_long_document_is_written_whole_over_many_pieces(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "PIECE_BYTES", 1000)
    monkeypatch.setattr(index, "MOST_CHUNKS", 5)
    long = "\n\n".join(f"Paragraph {i} of many has some words that are its own." for i in range(200))
    desk.write(long=long, short="short")
    await desk.run()
    text = "".join(chunk[2] for chunk in desk.chunks() if chunk[0] == "long.md")
    assert "".join(text.split()) == "".join(long.split())


async def test_progress_of_a_build_is_reported(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MOST_CHUNKS", 2)
    monkeypatch.setattr(report, "EVERY_SECONDS", 3600.0)
    desk.write(**{f"page{i}": f"words of page {i}" for i in range(6)})
    seen: list[dict[str, int]] = []

    async def look(texts: object) -> None:
        seen.append(desk.summary().get("building", {}))

    desk.embedder.before = look
    await desk.run()
    assert seen[-1] == {"revision": 1, "documents": 2, "totalDocuments": 6, "percent": 33}, (
        "at most one in EVERY_SECONDS"
    )
    assert "building" not in desk.summary()
