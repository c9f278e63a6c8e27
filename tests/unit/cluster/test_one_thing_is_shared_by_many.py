"""Locks and the first-creates, last-removes rule, between real processes."""

import multiprocessing
import os
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.lock import only_one
from tests.cluster.shared import living, shared, sweep

SPAWN = multiprocessing.get_context("spawn")
PATIENCE = 120.0
LONG_AGO = (1.0, 1.0)


def use(folder: str, log: str, all_use_it: Barrier) -> None:
    def note(word: str) -> None:
        with Path(log).open("a") as out:
            out.write(word + "\n")

    with shared(Path(folder), lambda: note("create"), lambda: note("remove")):
        note("use")
        all_use_it.wait(PATIENCE)


def die_while_using(folder: str) -> None:
    with shared(Path(folder), lambda: None, lambda: None):
        os._exit(1)


def test_the_first_creates_and_the_last_removes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    arguments = (str(tmp_path / "users"), str(log), SPAWN.Barrier(3))
    workers = [SPAWN.Process(target=use, args=arguments) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
    assert log.read_text().split() == ["create", "use", "use", "use", "remove"]


def test_users_that_were_killed_do_not_count(tmp_path: Path) -> None:
    worker = SPAWN.Process(target=die_while_using, args=(str(tmp_path / "users"),))
    worker.start()
    worker.join(PATIENCE)
    assert worker.exitcode == 1
    assert living(tmp_path / "users") == []
    removed = []
    sweep(tmp_path / "users", lambda: removed.append(True))
    assert removed == [True]


def test_nothing_is_swept_from_under_a_living_user(tmp_path: Path) -> None:
    with shared(tmp_path / "users", lambda: None, lambda: None):
        os.utime(tmp_path / "users", LONG_AGO)
        sweep(tmp_path / "users", lambda: pytest.fail("swept"))
        assert len(living(tmp_path / "users")) == 1


def test_the_list_of_a_run_of_long_ago_goes_too(tmp_path: Path) -> None:
    with shared(tmp_path / "users", lambda: None, lambda: None):
        pass
    os.utime(tmp_path / "users", LONG_AGO)
    sweep(tmp_path / "users", lambda: None)
    assert not (tmp_path / "users").exists()


def test_a_creation_that_fails_leaves_no_user(tmp_path: Path) -> None:
    def fail() -> None:
        raise ClusterError("no")

    with pytest.raises(ClusterError), shared(tmp_path / "users", fail, lambda: None):
        pass
    assert living(tmp_path / "users") == []


def test_the_second_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    with (
        only_one(tmp_path / "lock", "up --name main"),
        pytest.raises(ClusterError, match=r"`up --name main` \(process \d+\)"),
        only_one(tmp_path / "lock", "up --name main"),
    ):
        pass


def test_the_lock_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with only_one(tmp_path / "lock", "up"):
            pass
