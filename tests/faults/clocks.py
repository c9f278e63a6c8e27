"""A process's wall clock, set wrong and set while it runs. Its monotonic clock goes on, as when a person sets the time.

By Debian's libfaketime, which stands before libc's own functions and reads its offset from a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

LIBRARIES = "*/faketime/libfaketime.so.1"


@dataclass(frozen=True, slots=True)
class WallClock:
    """Of the processes that are started within `of_new_processes`."""

    offset: Path

    def set(self, ahead: timedelta) -> None:
        """So far ahead of the machine's clock; negative: behind. A running process sees it at once."""
        aside = self.offset.with_suffix(".new")
        aside.write_text(f"{ahead.total_seconds():+.0f}s\n")
        aside.replace(self.offset)

    @contextmanager
    def of_new_processes(self) -> Iterator[None]:
        """Processes that begin here have this clock."""
        faked = {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self.offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in faked.items():
                patch.setenv(name, value)
            yield


def _library() -> Path:
    found = next(Path("/usr/lib").glob(LIBRARIES), None)
    if found is None:
        pytest.skip("needs Debian's package faketime: bash .ci/packages")
    return found
