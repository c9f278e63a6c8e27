"""Ports, logs and the script of faults: what they tell does not depend on which thread or process is the slower one."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from pathlib import Path

import pytest

from tests.faults.script import Fault, Script
from tests.support import postgres
from tests.support.operator import OperatorProcess, eventually


class _Chance:
    """Draws the same each time."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports

    def sample(self, _: range, __: int) -> list[int]:
        return self._ports


def test_a_port_that_was_given_and_is_not_bound_yet_is_given_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = postgres.free_port()
    monkeypatch.setattr(postgres, "_CHANCE", _Chance([mine, *postgres.PORTS[-1000:]]))
    assert postgres.free_port() != mine
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    other = context.Process(target=_draw, args=(mine, queue))
    other.start()
    assert queue.get(timeout=60) != mine
    other.join()


def _draw(wanted: int, queue: multiprocessing.Queue[int]) -> None:
    """In another process, which begins with that port."""
    postgres._CHANCE = _Chance([wanted, *postgres.PORTS[-2000:-1000]])  # type: ignore[assignment]
    queue.put(postgres.free_port())


def test_a_line_that_is_still_being_written_is_not_read(tmp_path: Path) -> None:
    replica = OperatorProcess({}, tmp_path / "log")
    replica.log.write_text(json.dumps({"whole": True}) + '\n{"audit": tr')
    assert [json.loads(line) for line in replica.logged().splitlines()] == [{"whole": True}]


def test_what_comes_true_between_the_last_look_and_the_deadline_is_seen() -> None:
    began = time.monotonic()
    assert eventually(lambda: time.monotonic() - began > 0.05, "it", 0.01)


def test_a_process_that_is_to_die_has_died_only_once_it_was_killed() -> None:
    killing, go_on = threading.Event(), threading.Event()

    def kill() -> None:
        killing.set()
        go_on.wait()

    script = Script(kill=kill, matching="PATCH", fault=Fault.DIE_BEFORE)
    assert script.write("PATCH /a") is Fault.DIE_BEFORE
    dying = threading.Thread(target=script.die)
    dying.start()
    killing.wait()
    assert script.dead.is_set()
    assert not script.struck(), "else the kill may hit who comes after it"
    go_on.set()
    dying.join()
    assert script.struck()


def test_a_write_that_is_refused_in_the_end_breaks_no_silence() -> None:
    script = Script()
    script.leaves("PATCH /a")
    assert (script.taken, script.under_way) == (0, 1)
    script.answered(refused=True)
    assert (script.taken, script.under_way) == (0, 0)
    script.leaves("PATCH /a")
    script.answered(refused=False)
    assert script.taken == 1


def test_a_fault_that_never_came_comes_no_more_once_it_is_disarmed() -> None:
    script = Script(at=1)
    script.disarm()
    assert script.write("PATCH /a") is None
