"""The parsers' process: reads documents from stdin, answers on stdout, within limits that it sets itself at the start.

Started by `sandbox`: `python -m rag_runtime.ingest.parse.worker MEMORY_BYTES DEADLINE_SECONDS`.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
from typing import BinaryIO

from rag_runtime.ingest.parse.base import ParseError
from rag_runtime.ingest.parse.parse import parse
from rag_runtime.ingest.parse.wire import LENGTH_BYTES, error_to_wire, frame, parsed_to_wire


def main(memory_bytes: int, deadline: int) -> None:
    """Serve until stdin ends. No file can be written, no core is dumped, memory is bounded by `memory_bytes`."""
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        with contextlib.suppress(ValueError, OSError):  # a container may have set a lower hard limit
            resource.setrlimit(limit, (value, value))
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not break a frame
    while header := requests.read(LENGTH_BYTES):
        request = json.loads(_exactly(requests, int.from_bytes(header, "big")))
        body = _exactly(requests, request["size"])
        signal.alarm(deadline + 5)  # ends a hanging worker whose parent is gone; the parent kills earlier
        answer, last = _answer(body, request["path"], request["media_type"])
        signal.alarm(0)
        answers.write(answer)
        answers.flush()
        if last:
            return


def _answer(body: bytes, path: str, media_type: str | None) -> tuple[bytes, bool]:
    """The answer's frame, and whether this process has had its day (its memory was full once)."""
    try:
        return frame(parsed_to_wire(parse(body, path, media_type))), False
    except ParseError as error:
        return frame(error_to_wire(error)), False
    except MemoryError:
        problem = "reading it takes more memory than a parser gets; split the document, or exclude it"
        return frame(error_to_wire(ParseError("OutOfMemory", f"{path}: {problem}"))), True
    except Exception as error:  # noqa: BLE001  # boundary: the worker; a parser's fault costs one document
        problem = f"the parser failed ({type(error).__name__}); exclude the document and report it"
        return frame(error_to_wire(ParseError("Crashed", f"{path}: {problem}"))), False


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        sys.exit(0)  # the parent is gone
    return data


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
