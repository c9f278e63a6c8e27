"""One thing for all test processes of a run: the first that asks creates it, the last that leaves removes it.

The users are recorded by pid and start time, so a run that was killed counts no more: the next one finds its list
without a living member, and starts from nothing or removes what is left.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tests.cluster.lock import in_turn
from tests.cluster.processes import Recorded, is_alive, this_process

_DAY_SECONDS = 86_400


@contextmanager
def shared(folder: Path, create: Callable[[], None], remove: Callable[[], None]) -> Iterator[None]:
    """Hold the shared thing while the body runs. `create` and `remove` are never called by two at once."""
    me = this_process("user")
    with in_turn(folder / "lock"):
        others = living(folder)
        _write(folder, [*others, me])
        if not others:
            try:
                create()
            except BaseException:
                _write(folder, [])
                raise
    try:
        yield
    finally:
        with in_turn(folder / "lock"):
            others = [user for user in living(folder) if user != me]
            _write(folder, others)
            if not others:
                remove()


def sweep(folder: Path, remove: Callable[[], None]) -> None:
    """Remove what the users listed in this folder left when they were killed."""
    with in_turn(folder / "lock"):
        if living(folder):
            return
        remove()
        if time.time() - folder.stat().st_mtime > _DAY_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def living(folder: Path) -> list[Recorded]:
    """The processes that use the thing now."""
    path = folder / "users.json"
    if not path.exists():
        return []
    users = [Recorded(**one) for one in json.loads(path.read_text() or "[]")]
    return [user for user in users if is_alive(user)]


def _write(folder: Path, users: list[Recorded]) -> None:
    """In one step: `down` reads the list without the lock."""
    fresh = folder / "users.json.new"
    fresh.write_text(json.dumps([asdict(user) for user in users]))
    fresh.replace(folder / "users.json")
