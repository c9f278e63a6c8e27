from __future__ import annotations

import asyncio
import os
import signal
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from rag_runtime.ingest.parse import ParseError, Sandbox, UnsupportedMedia

DEADLINE = 4.0
"""Seconds; only documents that never end meet it, so that a busy machine fails no test."""
NESTED = b"<div><p>" * 200_000


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


async def refusal(sandbox: Sandbox, body: bytes, path: str) -> ParseError:
    with pytest.raises(ParseError) as caught:
        await sandbox.parse(body, path, None)
    assert caught.value.message.startswith(f"{path}: ")
    return caught.value


def workers() -> list[int]:
    """Process ids of this process's live parsers."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            command = (status.parent / "cmdline").read_text()
        except OSError:
            continue
        if int(parent) == os.getpid() and state != "Z" and "rag_runtime.ingest.parse.worker" in command:
            found.append(int(status.parent.name))
    return found


def environment_of(process: int) -> set[str]:
    entries = Path(f"/proc/{process}/environ").read_text().strip("\0").split("\0")
    return {entry.partition("=")[0] for entry in entries}


async def test_a_document_comes_back_from_the_worker_as_it_was_parsed(sandbox: Sandbox) -> None:
    parsed = await sandbox.parse("# Ünï\n\ntext \U0001f600".encode(), "a.md", None)
    assert (parsed.title, parsed.text) == ("Ünï", "Ünï\n\ntext \U0001f600")
    assert parsed.sections[0].heading_path == ("Ünï",)


async def test_errors_come_back_as_themselves(sandbox: Sandbox) -> None:
    assert (await refusal(sandbox, b"", "a.pdf")).reason == "Empty"
    with pytest.raises(UnsupportedMedia):
        await sandbox.parse(b"", "a.png", None)


async def test_one_worker_serves_all_documents(sandbox: Sandbox) -> None:
    for i in range(5):
        await sandbox.parse(b"text", f"{i}.txt", None)
        if i == 0:
            first = workers()
    assert len(first) == 1
    assert workers() == first


async def test_a_page_that_takes_for_ever_is_cut_off_and_the_next_document_is_read() -> None:
    async with Sandbox(deadline=DEADLINE) as short:
        async with asyncio.timeout(60):
            error = await refusal(short, NESTED, "bomb.html")
        assert error.reason == "TimedOut"
        short._deadline = 60.0  # which a worker that a busy machine is slow to start does not meet
        assert (await short.parse(b"<p>well</p>", "good.html", None)).text == "well"
        assert len(workers()) == 1


async def test_a_page_of_too_many_levels_is_too_complex(sandbox: Sandbox) -> None:
    assert (await refusal(sandbox, b"<b>" * 100_000, "deep.html")).reason == "TooComplex"


async def test_a_text_of_more_than_20_mb_is_refused(sandbox: Sandbox) -> None:
    error = await refusal(sandbox, b"word " * (5 * 2**20), "large.txt")
    assert error.reason == "TextTooLarge"
    assert "split the document" in error.message


async def test_a_page_that_fills_the_memory_costs_its_worker_only() -> None:
    async with Sandbox(deadline=60, memory_bytes=300 * 2**20) as small:
        error = await refusal(small, b"<p>a" * 4_000_000, "wide.html")
        assert error.reason in {"OutOfMemory", "Crashed"}
        assert (await small.parse(b"text", "good.txt", None)).text == "text"


async def test_a_pdf_whose_stream_unpacks_to_a_gigabyte_is_refused() -> None:
    packed = zlib.compress(b"\0" * 2**20, 9)
    for _ in range(2):
        packed = zlib.compress(packed * 32, 9)
    content = b"<< /Length %d /Filter [/FlateDecode /FlateDecode /FlateDecode] >>\nstream\n" % len(packed)
    body = (
        b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
        b"2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n"
        b"3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>\nendobj\n"
        b"4 0 obj\n" + content + packed + b"\nendstream\nendobj\ntrailer\n<< /Root 1 0 R >>\nstartxref\n0\n%%EOF\n"
    )
    async with Sandbox(deadline=DEADLINE) as short, asyncio.timeout(60):
        await refusal(short, body, "bomb.pdf")


async def test_a_worker_that_dies_costs_one_document(sandbox: Sandbox) -> None:
    await sandbox.parse(b"text", "a.txt", None)
    [worker] = workers()
    hanging = asyncio.create_task(sandbox.parse(NESTED, "b.html", None))
    await asyncio.sleep(0.2)
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(ParseError) as caught:
        await hanging
    assert caught.value.reason == "Crashed"
    assert (await sandbox.parse(b"text", "c.txt", None)).text == "text"


async def test_a_caller_that_gives_up_leaves_no_answer_for_the_next(sandbox: Sandbox) -> None:
    hanging = asyncio.create_task(sandbox.parse(NESTED, "b.html", None))
    await asyncio.sleep(0.3)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    assert (await sandbox.parse(b"text", "c.txt", None)).text == "text"


async def test_the_worker_sees_no_environment_and_ends_with_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_TEST_SECRET", "hunter2")
    async with Sandbox() as sandbox:
        await sandbox.parse(b"text", "a.txt", None)
        [worker] = workers()
        assert environment_of(worker) == {"PYTHONPATH", "PYTHONUTF8"}
    assert workers() == []
