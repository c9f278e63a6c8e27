"""A pid alone is no identity: boot and start time are part of it."""

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.cluster import processes
from tests.cluster.processes import Ledger, Recorded, is_alive, parse_stat, start_time, this_process

LINE = "812 (a (strange) name) S 1 812 812 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 7 0 98765 1000 10 18446744073709551615"


PATIENCE = 60.0


class Echo:
    """A process that says what it is told: one to whom a deadly signal was sent says nothing any more."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.recorded = Recorded("echo", process.pid, start_time(process.pid) or 0, processes.boot_id())

    def answers(self) -> bool:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"a word\n")
        self._process.stdin.flush()
        return self._process.stdout.readline() == b"a word\n"


@pytest.fixture
def echo() -> Iterator[Echo]:
    with subprocess.Popen(["cat"], stdin=PIPE, stdout=PIPE) as process:
        yield Echo(process)
        process.kill()


def test_a_command_with_spaces_and_parentheses_does_not_shift_the_fields() -> None:
    assert parse_stat(LINE) == ("S", 98765)


def test_this_process_is_alive() -> None:
    assert is_alive(this_process("me"))


def test_the_same_pid_with_another_start_time_is_someone_else(echo: Echo) -> None:
    reused = dataclasses.replace(echo.recorded, started=echo.recorded.started - 1)
    assert not is_alive(reused)
    processes.end([reused], grace=0.2)
    assert echo.answers()


def test_a_record_of_another_boot_is_of_someone_else(echo: Echo) -> None:
    processes.end([dataclasses.replace(echo.recorded, boot="another")], grace=0.2)
    assert echo.answers()


def test_what_was_started_is_recorded_and_ended(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "processes.jsonl", mark=str(tmp_path))
    started = ledger.start("sleeper", ["sleep", "60"], tmp_path / "log", tmp_path)
    assert ledger.recorded() == [started]
    assert ledger.named("sleeper") == [started]
    processes.end(ledger.alive(), grace=2)
    assert ledger.alive() == []


def test_a_process_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "processes.jsonl", mark=str(tmp_path))
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    ledger.start("stubborn", [sys.executable, "-c", stubborn], tmp_path / "log", tmp_path)
    assert processes.wait_until(lambda: "deaf" in (tmp_path / "log").read_text(), PATIENCE)
    processes.end(ledger.alive(), grace=0.3)
    assert ledger.alive() == []


def test_a_process_that_a_crash_left_unrecorded_is_found_by_its_mark(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "processes.jsonl", mark=str(tmp_path))
    started = ledger.start("sleeper", ["sleep", "60"], tmp_path / "log", tmp_path)
    ledger.path.write_text('{"name": "sleeper", "pi')
    # For a moment after exec the kernel shows no environment yet.
    assert processes.wait_until(lambda: [one.pid for one in ledger.alive()] == [started.pid], PATIENCE)
    processes.end(ledger.alive(), grace=2)
    assert ledger.alive() == []


def test_a_child_that_was_reaped_is_not_reaped_again_when_its_pid_is_given_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_children", [])
    ledger = Ledger(tmp_path / "processes.jsonl", mark=str(tmp_path))
    ledger.start("sleeper", ["sleep", "60"], tmp_path / "log", tmp_path)
    processes.end(ledger.alive(), grace=2)
    assert processes._children == []


def test_a_zombie_is_not_alive() -> None:
    with subprocess.Popen(["true"]) as child:
        assert processes.wait_until(lambda: start_time(child.pid) is None, PATIENCE)


def test_waiting_ends_when_the_time_is_over() -> None:
    looks = iter(range(6))  # at once, and after each twentieth of a second of the fifth
    assert not processes.wait_until(lambda: next(looks) < 0, 0.2)


def test_signalling_a_process_that_is_gone_is_no_error() -> None:
    processes.signal_to(Recorded("gone", os.getpid(), 0, processes.boot_id()), signal.SIGKILL)
