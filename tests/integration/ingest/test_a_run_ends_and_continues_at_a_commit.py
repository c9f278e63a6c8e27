"""A run may be killed, told to end, or lose its database: the next one continues and ends with the same rows."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_runtime.contract.config import EmbeddingProfile
from rag_runtime.ingest import index
from tests.integration.ingest.harness import SHAPE, Desk, make_desk, until
from tests.support.catalog import TestCatalog
from tests.support.postgres import Server

SMALL_BATCHES = """
import asyncio, sys
from rag_runtime.ingest import index, sync
from rag_runtime.models.builtin import BuiltInEmbedder
index.MOST_CHUNKS, sync.BATCH_DOCUMENTS = 4, 10
embed, calls = BuiltInEmbedder.embed, []
async def held(self, texts):
    calls.append(texts)
    if len(calls) > int(sys.argv[2]):
        await asyncio.sleep(3600)
    return await embed(self, texts)
BuiltInEmbedder.embed = held
from rag_runtime.cli import main
sys.exit(main(["ingest", "--config", sys.argv[1]]))
"""
PAGES = {f"page{i}": f"# Page {i}\n\n" + f"The quick brown fox jumps over the lazy dog {i}. " * 5 for i in range(24)}


ALL = 1_000_000


async def _start(desk: Desk, tmp_path: Path, calls: int = ALL) -> asyncio.subprocess.Process:
    """A run in a process of its own, which hangs after so many calls of its embedder."""
    document = tmp_path / "ingest.json"
    document.write_text(json.dumps(desk.config.model_dump(mode="json", by_alias=True)))
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", SMALL_BATCHES, str(document), str(calls)),
        env={**os.environ, "RAG_LOG_LEVEL": "WARNING"},
        start_new_session=True,
    )


def _watermark(desk: Desk) -> int:
    rows = desk.rows("SELECT watermark FROM {s}.run WHERE step = 'Index'")
    return int(rows[0][0]) if rows else 0


def _sessions(desk: Desk) -> int:
    """Of the tenant's login: a statement that was sent before its client died may still commit."""
    return int(desk.one("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", desk.tenant.ingestion))


def _real(desk: Desk) -> None:
    desk.configure(shape=SHAPE.model_copy(update={"profile": EmbeddingProfile()}))
    desk.write(**PAGES)


def _content(desk: Desk) -> list[tuple[object, ...]]:
    return desk.rows(
        "SELECT c.path, c.ordinal, c.text, c.heading, c.tokens, c.acl, t.term, p.w, t.df FROM {s}.chunk_r1 c"
        " JOIN {s}.post_r1 p ON p.chunk = c.id JOIN {s}.term_r1 t ON t.id = p.term_id ORDER BY 1, 2, 7"
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_killed_in_the_middle_it_ends_with_the_rows_of_an_undisturbed_run(
    catalog: TestCatalog, tmp_path: Path, number: signal.Signals
) -> None:
    desk, undisturbed = make_desk(catalog, tmp_path, "killed"), make_desk(catalog, tmp_path, "undisturbed")
    for one in (desk, undisturbed):
        _real(one)
    process = await _start(desk, tmp_path, calls=2)
    await until(lambda: _watermark(desk) > 0, 120)
    process.send_signal(number)
    code = await asyncio.wait_for(process.wait(), 60)
    await until(lambda: not _sessions(desk))
    assert code == (-9 if number == signal.SIGKILL else 1)
    reached = _watermark(desk)
    assert 0 < reached < len(PAGES), "it was ended in the middle"
    process = await _start(desk, tmp_path)
    assert await asyncio.wait_for(process.wait(), 120) == 0
    process = await _start(undisturbed, tmp_path)
    assert await asyncio.wait_for(process.wait(), 120) == 0
    assert desk.summary()["lastIngestion"]["embedded"] < undisturbed.summary()["lastIngestion"]["embedded"]
    assert _content(desk) == _content(undisturbed)
    assert desk.rows("SELECT number, state FROM {s}.revision") == [(1, "Ready")]


async def test_killed_in_the_middle_of_sync_it_parses_only_the_rest(desk: Desk, tmp_path: Path) -> None:
    _real(desk)
    process = await _start(desk, tmp_path)
    await until(lambda: bool(desk.rows("SELECT 1 FROM {s}.document")), 60)
    process.kill()
    await process.wait()
    await until(lambda: not _sessions(desk))
    reached = desk.one("SELECT count(*) FROM {s}.document")
    counts = await desk.run() if reached == len(PAGES) else None
    if counts is None:
        desk.configure(shape=SHAPE)
        counts = await desk.run()
    assert counts["parsed"] == len(PAGES) - reached
    assert desk.one("SELECT count(*) FROM {s}.document") == len(PAGES)


async def test_sigterm_is_reported(desk: Desk, tmp_path: Path) -> None:
    _real(desk)
    process = await _start(desk, tmp_path, calls=2)
    await until(lambda: _watermark(desk) > 0, 120)
    process.terminate()
    await asyncio.wait_for(process.wait(), 60)
    assert "stopped by a signal" in desk.summary()["lastIngestion"]["message"]
    assert desk.rows("SELECT step FROM {s}.run WHERE expires_at > clock_timestamp()") == []


@contextlib.contextmanager
def _stopped(server: Server) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


async def test_a_database_that_is_away_for_a_moment_is_waited_for(
    desk: Desk, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "MOST_CHUNKS", 2)
    desk.write(**{f"page{i}": f"words of page {i}" for i in range(8)})
    calls = 0
    outages: list[asyncio.Task[None]] = []

    async def outage() -> None:
        with _stopped(postgres_server):
            await asyncio.sleep(1)

    async def third_time(texts: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            outages.append(asyncio.create_task(outage()))

    desk.embedder.before = third_time
    counts = await desk.run()
    await asyncio.gather(*outages)
    assert counts["added"] == 8
    assert len(desk.chunks()) == 8
    assert counts["embedded"] <= 8 + 4, "what was committed is not embedded again"


async def test_a_database_that_stays_away_fails_the_run_with_a_sentence(
    desk: Desk, postgres_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    desk.write(page="words")
    run = desk.new_run()

    async def at_once(seconds: float) -> None:
        await asyncio.sleep(0)

    run.sleep = at_once
    with _stopped(postgres_server):
        assert await run.run() == 1
    assert "the database can't be reached" in caplog.text
    await desk.run()


async def test_a_new_version_of_a_document_does_not_wait_for_the_rest_of_a_long_build(desk: Desk) -> None:
    """A later run syncs while the first one embeds; the first one's second look finds what it brought."""
    desk.write(page="words")
    second: list[int] = []

    async def meanwhile(texts: object) -> None:
        desk.embedder.before = None
        desk.write(late="late words")
        second.append(await desk.new_run().run())

    desk.embedder.before = meanwhile
    await desk.run()
    assert second == [0]
    assert [chunk[0] for chunk in desk.chunks()] == ["late.md", "page.md"]
