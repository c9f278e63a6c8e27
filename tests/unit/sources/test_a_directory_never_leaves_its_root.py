from __future__ import annotations

import os
import threading
from pathlib import Path, PurePosixPath

import pytest

from rag_runtime.contract.config import DirectorySource, SourceConfig
from rag_runtime.ingest.sources import Item, ItemError, Source, SourceUnavailable, open_source


def source(root: Path, path: str = "/", max_bytes: int = 1000, **selection: list[str]) -> Source:
    below = DirectorySource(root=PurePosixPath(root), path=path)
    return open_source(SourceConfig(name="docs", source=below, **selection), max_bytes)


async def listed(reader: Source) -> list[Item]:
    return [item async for item in reader.items()]


async def paths(reader: Source) -> list[str]:
    return [item.path for item in await listed(reader)]


async def refusal(reader: Source, path: str) -> ItemError:
    [item] = [item for item in await listed(reader) if item.path == path]
    with pytest.raises(ItemError) as caught:
        await reader.fetch(item)
    assert caught.value.message.startswith(f"source 'docs': {path} ")
    return caught.value


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "token").write_text("hunter2")
    root = tmp_path / "volume"
    (root / "guides").mkdir(parents=True)
    (root / "guides" / "first.md").write_text("# First")
    (root / "readme.txt").write_text("read me")
    return root


async def test_files_are_listed_in_order_with_size_and_validator_and_read(root: Path) -> None:
    reader = source(root)
    items = await listed(reader)
    assert [(item.path, item.uri, item.size) for item in items] == [
        ("guides/first.md", "docs/guides/first.md", 7),
        ("readme.txt", "docs/readme.txt", 7),
    ]
    assert (await reader.fetch(items[0])).body == b"# First"
    assert await listed(reader) == items


async def test_a_changed_file_has_another_validator(root: Path) -> None:
    before = {item.path: item.validator for item in await listed(source(root))}
    (root / "readme.txt").write_text("READ ME")
    os.utime(root / "readme.txt", ns=(1, 1))
    after = {item.path: item.validator for item in await listed(source(root))}
    assert before["readme.txt"] != after["readme.txt"]
    assert before["guides/first.md"] == after["guides/first.md"]


async def test_a_link_out_of_the_root_is_listed_and_never_read(root: Path) -> None:
    (root / "stolen.md").symlink_to("../secret/token")
    error = await refusal(source(root), "stolen.md")
    assert error.reason == "OutsideRoot"
    assert "leads out of the volume" in error.message


async def test_a_linked_directory_out_of_the_root_is_not_entered(root: Path) -> None:
    (root / "all").symlink_to(root.parent / "secret")
    assert await paths(source(root)) == ["all", "guides/first.md", "readme.txt"]
    assert (await refusal(source(root), "all")).reason == "OutsideRoot"


async def test_a_link_to_a_sibling_whose_name_begins_like_the_root_is_outside(root: Path) -> None:
    twin = root.parent / "volume-of-another"
    twin.mkdir()
    (twin / "token").write_text("hunter2")
    (root / "stolen.md").symlink_to(twin / "token")
    assert (await refusal(source(root), "stolen.md")).reason == "OutsideRoot"


async def test_a_file_that_becomes_a_link_after_it_was_listed_is_not_followed(root: Path) -> None:
    reader = source(root)
    item = next(item for item in await listed(reader) if item.path == "readme.txt")
    (root / "readme.txt").unlink()
    (root / "readme.txt").symlink_to("../secret/token")
    with pytest.raises(ItemError) as caught:
        await reader.fetch(item)
    assert caught.value.reason == "OutsideRoot"


async def test_a_directory_that_becomes_a_link_between_check_and_opening_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = source(root)
    item = next(item for item in await listed(reader) if item.path == "guides/first.md")
    (root.parent / "secret" / "first.md").write_text("hunter2")
    real = os.path.realpath

    def swap_after_check(path: str | os.PathLike[str], *, strict: bool = False) -> str:
        found = real(path, strict=strict)
        if str(found).endswith("first.md"):
            (root / "guides").rename(root / "moved")
            (root / "guides").symlink_to("../secret")
        return found

    monkeypatch.setattr(os.path, "realpath", swap_after_check)
    with pytest.raises(ItemError) as caught:
        await reader.fetch(item)
    assert caught.value.reason == "Unreadable"


@pytest.mark.parametrize("path", ["../secret", "guides/../../secret", "/../secret"])
async def test_the_path_of_a_source_stays_in_its_root(root: Path, path: str) -> None:
    with pytest.raises(SourceUnavailable, match=r"source 'docs': path .* leads out of the volume"):
        await listed(source(root, path))


async def test_the_path_of_a_source_that_is_a_link_stays_in_its_root(root: Path) -> None:
    (root / "inner").symlink_to("../secret")
    with pytest.raises(SourceUnavailable, match="leads out"):
        await listed(source(root, "/inner"))


async def test_a_source_may_begin_below_its_root(root: Path) -> None:
    reader = source(root, "/guides")
    [item] = await listed(reader)
    assert (item.path, (await reader.fetch(item)).body) == ("first.md", b"# First")


async def test_a_missing_root_stops_the_source_so_that_nothing_of_it_is_deleted(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"source 'docs': .* check that the ConfigMap or claim is mounted"):
        await listed(source(tmp_path / "absent"))


async def test_a_file_that_is_too_large_is_refused_by_its_size(root: Path) -> None:
    with (root / "huge.txt").open("wb") as file:
        file.truncate(200 * 2**20)
    reader = source(root)
    assert next(item.size for item in await listed(reader) if item.path == "huge.txt") == 200 * 2**20
    error = await refusal(reader, "huge.txt")
    assert error.reason == "TooLarge"
    assert "larger than 1000 bytes" in error.message


async def test_hidden_and_special_files_are_skipped(root: Path) -> None:
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("x")
    (root / ".hidden.md").write_text("x")
    os.mkfifo(root / "pipe")
    assert await paths(source(root)) == ["guides/first.md", "readme.txt"]


async def test_a_pipe_in_place_of_a_listed_file_does_not_hang_the_run(root: Path) -> None:
    reader = source(root)
    item = next(item for item in await listed(reader) if item.path == "readme.txt")
    (root / "readme.txt").unlink()
    os.mkfifo(root / "readme.txt")
    with pytest.raises(ItemError) as caught:
        await reader.fetch(item)
    assert caught.value.reason == "Unreadable"


async def test_links_in_circles_end(root: Path) -> None:
    (root / "guides" / "up").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / "dangling.md").symlink_to("nowhere")
    found = await paths(source(root))
    assert found == ["dangling.md", "guides/first.md", "loop", "readme.txt"]
    assert (await refusal(source(root), "dangling.md")).reason == "NotFound"
    assert (await refusal(source(root), "loop")).reason in {"Unreadable", "NotFound"}


async def test_a_configmap_is_read_through_its_links(tmp_path: Path) -> None:
    data = tmp_path / "..2026_01_01"
    (data / "deep").mkdir(parents=True)
    (data / "a.md").write_text("A")
    (data / "deep" / "b.md").write_text("B")
    (tmp_path / "..data").symlink_to(data.name)
    (tmp_path / "a.md").symlink_to("..data/a.md")
    (tmp_path / "deep").symlink_to("..data/deep")
    reader = source(tmp_path)
    items = await listed(reader)
    assert [(item.path, (await reader.fetch(item)).body) for item in items] == [("a.md", b"A"), ("deep/b.md", b"B")]


async def test_a_name_that_is_no_utf_8_is_shown_escaped_and_can_be_read(root: Path) -> None:
    with open(os.fsencode(root) + b"/caf\xe9.txt", "wb") as file:  # noqa: ASYNC230, PTH123
        file.write(b"coffee")
    reader = source(root)
    [item] = [item for item in await listed(reader) if item.path.startswith("caf")]
    item.path.encode()
    assert (await reader.fetch(item)).body == b"coffee"


async def test_include_and_exclude_select_by_path(root: Path) -> None:
    assert await paths(source(root, include=["*.md"])) == ["guides/first.md"]
    assert await paths(source(root, include=["**/*.md", "*.txt"], exclude=["guides/**"])) == ["readme.txt"]


async def test_files_are_read_in_a_thread(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()
    real = os.open

    def noting(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        threads.add(threading.get_ident())
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", noting)
    reader = source(root)
    await reader.fetch((await listed(reader))[0])
    assert threads
    assert threading.get_ident() not in threads
