"""A tenant's ingestion login is one role: while its password rotates, a run waits for the file with the new one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from rag_runtime.ingest.run import LOGIN_PAUSES, Run
from tests.integration.ingest.harness import Desk

NEW = "the-password-after-its-rotation"


def rotate(desk: Desk) -> None:
    """As the operator does; the session that a run has goes on."""
    with psycopg.connect(desk.catalog.dsn, autocommit=True) as admin:
        admin.execute(f"ALTER ROLE {desk.tenant.ingestion} PASSWORD '{NEW}'")


def mount(desk: Desk) -> None:
    """As the kubelet does, a while later."""
    (Path(desk.database.credentials) / "ingest.password").write_text(NEW)


def waiting(run: Run, looks: int, desk: Desk) -> list[float]:
    """The pauses that the run takes, of which none lasts; the new file comes in the one of that number."""
    slept: list[float] = []

    async def pause(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == looks:
            mount(desk)
        await asyncio.sleep(0)

    run.sleep = pause
    return slept


async def test_a_run_that_begins_meanwhile_waits_for_the_new_file(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.write(page="words")
    rotate(desk)
    run = desk.new_run()
    slept = waiting(run, 12, desk)
    assert await run.run() == 0
    assert slept == [5.0] * 12, "a minute, which is more than an outage is waited for in so small steps"
    assert "the database refuses the login" in caplog.text
    assert NEW not in caplog.text
    assert [chunk[0] for chunk in desk.chunks()] == ["page.md"]


async def test_a_run_under_way_goes_on_and_its_end_is_reported(desk: Desk) -> None:
    desk.write(page="words")
    run = desk.new_run()

    async def meanwhile(texts: object) -> None:
        rotate(desk)

    desk.embedder.before = meanwhile
    slept = waiting(run, 3, desk)
    assert await run.run() == 0
    assert slept == [5.0] * 3
    assert desk.summary()["lastIngestion"]["added"] == 1
    assert [chunk[0] for chunk in desk.chunks()] == ["page.md"]


async def test_a_login_that_stays_refused_fails_the_run_after_two_minutes(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    rotate(desk)
    run = desk.new_run()
    slept = waiting(run, 1000, desk)
    assert await run.run() == 1
    assert slept == list(LOGIN_PAUSES)
    assert sum(slept) == 120
    assert "the database refuses the login" in caplog.text
