"""Locks between processes: a refusal that names the holder, or a wait. The kernel frees them when the holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.errors import ClusterError


@contextmanager
def only_one(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock file while the body runs, or raise a ClusterError that names the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.seek(0)
            holder = held.read().strip() or "another process"
            raise ClusterError(f"refused: {holder} is at work on this cluster; wait until it ends") from None
        held.truncate(0)
        held.write(f"`{doing}` (process {os.getpid()})")
        held.flush()
        try:
            yield
        finally:
            held.truncate(0)


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Hold the lock file while the body runs, after waiting for whoever holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
