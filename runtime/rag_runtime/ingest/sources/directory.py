"""Files below a mounted ConfigMap or volume. Nothing outside the mount is ever read.

A mounted ConfigMap has the layout of Kubernetes' atomic writer: visible entries are links to `..data/ENTRY`, and
`..data` is a link to a hidden directory that is exchanged as a whole. So links are followed, as long as they end within
the mount.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO

from rag_runtime.contract.config import DirectorySource, SourceConfig
from rag_runtime.ingest.sources.base import Fetched, Item, ItemError, SourceUnavailable
from rag_runtime.ingest.sources.globs import selector

MAX_ENTRIES = 1_000_000
"""Files of one source: their list is held in memory to be sorted, some 400 bytes each."""


class DirectoryReader:
    """Lists and reads the files of one source."""

    def __init__(self, config: SourceConfig, source: DirectorySource, max_bytes: int) -> None:
        self.name = config.name
        self._mount = Path(os.path.realpath(source.root))
        self._path = source.path
        self._max_bytes = max_bytes
        self._takes = selector(config.include, config.exclude)
        self._undecodable: dict[str, str] = {}
        """File names that are no UTF-8, by the path that is shown and stored for them."""

    async def items(self) -> AsyncGenerator[Item, None]:
        """Every regular file and every link, hidden ones aside, sorted by path.

        A link that leads out of the mount is listed, so that its `fetch` can say why it isn't read.
        """
        for item in await asyncio.to_thread(self._list):
            yield item

    async def fetch(self, item: Item) -> Fetched:
        """The file's bytes. Raises ItemError: OutsideRoot, TooLarge, Unreadable, NotFound."""
        return Fetched(await asyncio.to_thread(self._read, item), None)

    async def close(self) -> None:
        """Nothing is held open."""

    def _start(self) -> Path:
        """The directory that is listed: `path` below the mount."""
        start = Path(os.path.realpath(self._mount / self._path.lstrip("/")))
        if not start.is_relative_to(self._mount):
            raise SourceUnavailable(
                f"source {self.name!r}: path {self._path!r} leads out of the volume; name one in it"
            )
        return start

    def _list(self) -> list[Item]:
        found: dict[str, Item] = {}
        seen: set[str] = set()
        try:
            start = self._start()
            links = self._scan(start, "", found, seen)
            for path in links:  # after all real directories, so that each keeps its own path
                links.extend(self._follow(start, path, found, seen))
        except OSError as error:
            raise SourceUnavailable(
                f"source {self.name!r}: its directory {self._path!r} can't be listed ({error.strerror}); "
                "check that the ConfigMap or claim is mounted and readable"
            ) from error
        return sorted((item for item in found.values() if self._takes(item.path)), key=lambda item: item.path)

    def _scan(self, start: Path, below: str, found: dict[str, Item], seen: set[str]) -> list[str]:
        """Add the files below `start`/`below`; the paths of the links there, to be followed later."""
        links: list[str] = []
        pending = [below]
        while pending:
            directory = pending.pop()
            real = os.path.realpath(start / directory)
            if real in seen:
                continue
            seen.add(real)
            with os.scandir(real) as entries:
                visible = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name)
            for entry in visible:
                path = f"{directory}/{entry.name}" if directory else entry.name
                if entry.is_symlink():
                    links.append(path)
                elif entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                        self._add(path, entry.stat(follow_symlinks=False), found)
        return links

    def _follow(self, start: Path, path: str, found: dict[str, Item], seen: set[str]) -> list[str]:
        """Add what a link leads to; the links below it, when it is a directory."""
        real = Path(os.path.realpath(start / path))
        if not real.is_relative_to(self._mount):
            self._add(path, None, found)
            return []
        try:
            status = real.stat()
        except OSError:  # a dangling link, or a circle of links
            self._add(path, None, found)
            return []
        if stat.S_ISDIR(status.st_mode):
            return self._scan(start, path, found, seen)
        if stat.S_ISREG(status.st_mode):
            self._add(path, status, found)
        return []

    def _add(self, path: str, status: os.stat_result | None, found: dict[str, Item]) -> None:
        if len(found) >= MAX_ENTRIES:
            raise SourceUnavailable(
                f"source {self.name!r}: it has more than {MAX_ENTRIES} files; divide it by path into several sources"
            )
        size = status.st_size if status else None
        validator = f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}" if status else None
        shown = path.encode("utf-8", "backslashreplace").decode()
        if shown != path:
            self._undecodable[shown] = path
        found[path] = Item(shown, f"{self.name}/{shown}", size, validator)

    def _read(self, item: Item) -> bytes:
        where = f"source {self.name!r}: {item.path}"
        real = Path(os.path.realpath(self._start() / self._undecodable.get(item.path, item.path)))
        if not real.is_relative_to(self._mount):
            raise ItemError("OutsideRoot", f"{where} is a link that leads out of the volume; put the file itself there")
        try:
            with self._open_below(real.relative_to(self._mount)) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise ItemError("Unreadable", f"{where} is no regular file; put a file there, or exclude it")
                body = file.read(self._max_bytes + 1) if status.st_size <= self._max_bytes else None
        except FileNotFoundError as error:
            raise ItemError("NotFound", f"{where} leads to no file; remove the link, or put the file there") from error
        except OSError as error:
            raise ItemError("Unreadable", f"{where} can't be read ({error.strerror}); check its permissions") from error
        if body is None or len(body) > self._max_bytes:
            raise ItemError(
                "TooLarge", f"{where} is larger than {self._max_bytes} bytes; split it, or raise ingestion.maxFileSize"
            )
        return body

    def _open_below(self, relative: Path) -> BinaryIO:
        """Open part by part without following links: one that is slipped in after the check above fails the open."""
        directory = os.open(self._mount, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in relative.parts[:-1]:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
                os.close(directory)
                directory = inner
            # O_NONBLOCK: opening a pipe that was put there must not wait for a writer
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            return os.fdopen(os.open(relative.name, flags, dir_fd=directory), "rb")
        finally:
            os.close(directory)
