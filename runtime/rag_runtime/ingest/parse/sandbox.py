"""Runs the parsers in a process of their own, so that a hostile document costs a deadline and no more.

One worker is started at the first document and used for all; it is killed and replaced when it hangs, crashes, runs
out of memory, or a caller gives up. It inherits no environment and no file; it shares the user and the network of its
parent (leaving those takes privileges that the pod doesn't have: its network policy is the bound there).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import rag_runtime
from rag_runtime.ingest.parse.base import Parsed, ParseError
from rag_runtime.ingest.parse.wire import LENGTH_BYTES, MAX_ANSWER_BYTES, frame, read_answer

MEMORY_BYTES = 2**30
"""Address space of the worker: it starts with 25 MB, the largest HTML tree that is accepted takes 500 MB."""
DEADLINE_SECONDS = 60.0
"""Per document. Measured on one of two busy cores: a PDF of 1,000 short pages 5 s, 10 MB of HTML 17 s."""


class Sandbox:
    """Parses documents in a worker process, one at a time. An async context manager; `close` ends the worker."""

    def __init__(self, deadline: float = DEADLINE_SECONDS, memory_bytes: int = MEMORY_BYTES) -> None:
        self._deadline = deadline
        self._memory_bytes = memory_bytes
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def parse(self, body: bytes, path: str, media_type: str | None) -> Parsed:
        """As `parse.parse`; besides its errors raises ParseError TimedOut, OutOfMemory, Crashed."""
        async with self._turn:
            done = False
            try:
                async with asyncio.timeout(self._deadline):
                    answer = await self._ask(body, path, media_type)
                done = True
            except TimeoutError as error:
                problem = f"reading it took longer than {self._deadline:.0f} s; split the document, or exclude it"
                raise ParseError("TimedOut", f"{path}: {problem}") from error
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                raise _crashed(path) from error
            finally:
                if not done:
                    await self._end()
        try:
            return await asyncio.to_thread(read_answer, answer)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _crashed(path) from error

    async def close(self) -> None:
        """End the worker."""
        async with self._turn:
            await self._end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, body: bytes, path: str, media_type: str | None) -> bytes:
        process = await self._worker()
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes")
        process.stdin.write(frame({"path": path, "media_type": media_type, "size": len(body)}))
        process.stdin.write(body)
        await process.stdin.drain()
        size = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
        if size > MAX_ANSWER_BYTES:
            raise ValueError("oversized answer")
        return await process.stdout.readexactly(size)

    async def _worker(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None and not self._spent():
            return self._process
        await self._end()
        root = str(Path(rag_runtime.__file__).parents[1])
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(
                "-P",
                "-B",
                "-m",
                "rag_runtime.ingest.parse.worker",
                str(self._memory_bytes),
                str(int(self._deadline) + 1),
            ),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PYTHONPATH": root, "PYTHONUTF8": "1"},
            cwd="/",
            start_new_session=True,
        )
        return self._process

    def _spent(self) -> bool:
        """Whether the worker has closed its end (it leaves after it ran out of memory)."""
        return self._process is None or self._process.stdout is None or self._process.stdout.at_eof()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


def _crashed(path: str) -> ParseError:
    return ParseError("Crashed", f"{path}: the parser's process died of it; exclude the document and report it")
