"""Server-sent events, as far as completions use them: the `data` of each event, from bytes cut anywhere."""

from __future__ import annotations

from collections.abc import Iterator

MAX_LINE = 2**20
"""Bytes: a completion's event has a few hundred."""


class LineTooLong(ValueError):  # noqa: N818  it names the finding
    """A line without an end: not a stream of events."""


class Events:
    """Collects bytes and gives what is complete. One line of data an event, which is all that such endpoints send."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The data of the events whose lines `data` completes. Raises LineTooLong beyond MAX_LINE."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE:
            raise LineTooLong(f"a line of more than {MAX_LINE} bytes")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
