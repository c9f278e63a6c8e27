"""Each kind of bad document becomes a dead letter with its reason; the others are indexed, and nothing is lost."""

from __future__ import annotations

import asyncio
import io
from pathlib import PurePosixPath

import pytest
from pypdf import PdfWriter

from rag_runtime.contract.config import DirectorySource, HttpSource, SourceConfig
from tests.integration.ingest.harness import Desk


def _pdf(*, password: str | None = None) -> bytes:
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    if password:
        writer.encrypt(password)
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def _spoil(desk: Desk) -> None:
    folder = desk.folder
    (folder / "zero.pdf").write_bytes(b"")
    (folder / "zero.md").write_bytes(b"")
    (folder / "encrypted.pdf").write_bytes(_pdf(password="secret"))
    (folder / "truncated.pdf").write_bytes(_pdf()[:200])
    with (folder / "huge.txt").open("wb") as file:
        file.truncate(200 * 2**20)
    (folder / "invalid.txt").write_bytes(bytes(range(128, 256)) * 20)
    (folder / "bomb.html").write_bytes(b"<div>" * 5_000)
    (folder / "photo.png").write_bytes(b"\x89PNG")
    (folder / "outside.txt").symlink_to("/etc/passwd")
    (folder / "dangling.txt").symlink_to("nowhere.txt")
    (folder / f"{'long' * 60}.md").write_text("a long name is fine")


REASONS = {
    "zero.pdf": "Empty",
    "zero.md": "Empty",
    "encrypted.pdf": "Encrypted",
    "truncated.pdf": "Damaged",
    "huge.txt": "TooLarge",
    "invalid.txt": "InvalidEncoding",
    "bomb.html": "TooComplex",
    "photo.png": "Unsupported",
    "outside.txt": "OutsideRoot",
    "dangling.txt": "NotFound",
}


async def test_bad_documents_are_counted_with_their_reason_and_the_good_ones_are_indexed(desk: Desk) -> None:
    desk.write(good="good words", better="better words")
    _spoil(desk)
    counts = await desk.run()
    assert desk.letters() == REASONS
    assert (counts["added"], counts["failed"]) == (3, len(REASONS))
    assert len(desk.chunks()) == 3
    assert desk.summary()["deadLetters"] == len(REASONS)
    assert desk.summary()["lastIngestion"]["failed"] == len(REASONS)
    messages = desk.rows("SELECT path, message FROM {c}.dead_letter")
    assert all(path in message for path, message in messages), "every sentence names its document"


async def test_a_second_run_neither_parses_nor_forgets_them(desk: Desk) -> None:
    desk.write(good="good words")
    _spoil(desk)
    first = await desk.run()
    second = await desk.run()
    assert second == first | {"added": 0, "parsed": 0, "embedded": 0, "unchanged": first["added"]}
    assert desk.letters() == REASONS
    attempts = dict(desk.rows("SELECT path, attempts FROM {c}.dead_letter"))
    assert attempts["truncated.pdf"] == 1, "what can't have changed is not tried again"
    assert attempts["outside.txt"] == 2, "what may have been mended elsewhere is"


async def test_a_mended_document_leaves_the_dead_letters(desk: Desk) -> None:
    desk.write(page="")
    await desk.run()
    assert desk.letters() == {"page.md": "Empty"}
    desk.write(page="words")
    assert (await desk.run())["added"] == 1
    assert desk.letters() == {}


async def test_a_document_that_vanishes_leaves_the_dead_letters(desk: Desk) -> None:
    desk.write(page="")
    await desk.run()
    desk.remove("page")
    await desk.run()
    assert desk.letters() == {}


async def test_a_document_that_breaks_keeps_its_older_version(desk: Desk) -> None:
    desk.write(page="good words")
    await desk.run()
    desk.write(page="")
    assert (await desk.run())["failed"] == 1
    assert [chunk[2] for chunk in desk.chunks()] == ["good words"]
    desk.write(page="good words")
    again = await desk.run()
    assert (again["parsed"], again["unchanged"]) == (0, 1), "it is back at the version that is stored"
    assert desk.letters() == {}


async def test_a_raised_limit_gives_another_try(desk: Desk) -> None:
    desk.write(page="words " * 100)
    desk.configure(max_file_bytes=100)
    await desk.run()
    assert desk.letters() == {"page.md": "TooLarge"}
    desk.configure(max_file_bytes=1000)
    assert (await desk.run())["added"] == 1
    assert desk.letters() == {}


async def test_same_bytes_behind_a_new_validator_are_not_parsed_again(desk: Desk) -> None:
    """A ConfigMap's files get another mtime and inode in every pod that mounts it."""
    desk.write(good="words", bad="")
    await desk.run()
    for name in ("good", "bad"):
        path = desk.folder / f"{name}.md"
        content = path.read_text()
        path.unlink()
        path.write_text(content)
    second = await desk.run()
    assert (second["parsed"], second["unchanged"], second["failed"]) == (0, 1, 1)
    assert desk.one("SELECT attempts FROM {c}.dead_letter") == 1
    third = await desk.run()
    assert (third["parsed"], third["unchanged"], third["failed"]) == (0, 1, 1)


async def test_a_source_that_is_unavailable_loses_nothing_and_is_named(desk: Desk) -> None:
    other = desk.folder.with_name("other")
    other.mkdir()
    (other / "there.md").write_text("words there")
    second = SourceConfig(name="second", source=DirectorySource(root=PurePosixPath(other)))
    desk.configure(sources=[*desk.config.sources, second])
    desk.write(here="words here")
    await desk.run()
    other.rename(desk.folder.with_name("gone"))
    desk.write(here="other words here")
    counts = await desk.run(expected=1)
    assert (counts["updated"], counts["deleted"]) == (1, 0)
    assert sorted(chunk[2] for chunk in desk.chunks()) == ["other words here", "words there"]
    assert "'second'" in desk.summary()["lastIngestion"]["message"]


async def test_a_removed_source_takes_its_documents_and_dead_letters_along(desk: Desk) -> None:
    desk.write(good="words", bad="")
    await desk.run()
    desk.configure(sources=[])
    assert (await desk.run())["deleted"] == 1
    assert desk.chunks() == []
    assert desk.letters() == {}
    assert desk.rows("SELECT * FROM {s}.document") == [], "the tombstone is below every watermark"


async def test_a_deleted_document_that_returns_is_added_again(desk: Desk) -> None:
    desk.write(page="words")
    await desk.run()
    desk.remove("page")
    await desk.run()
    assert desk.chunks() == []
    desk.write(page="words")
    assert (await desk.run())["added"] == 1
    assert [chunk[2] for chunk in desk.chunks()] == ["words"]


async def test_documents_with_the_same_text_are_all_kept(desk: Desk) -> None:
    desk.write(one="the same", two="the same")
    await desk.run()
    assert [chunk[0] for chunk in desk.chunks()] == ["one.md", "two.md"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:6443/api", "http://169.254.169.254/latest/meta-data"])
async def test_an_address_within_the_cluster_is_refused(desk: Desk, url: str) -> None:
    desk.configure(sources=[SourceConfig(name="site", source=HttpSource(urls=[url]))])
    run = desk.new_run()
    await asyncio.wait_for(run.run(), 120)
    refused = [*desk.letters().values(), *run.counts.unavailable.values()]
    assert refused
    assert desk.rows("SELECT * FROM {s}.document") == []
