"""A8: the Lease, on clocks of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from rag_operator.kube.client import Api
from rag_operator.kube.errors import ApiUnavailableError
from rag_operator.kube.kinds import CONFIG_MAP, LEASE
from rag_operator.kube.lease import DURATION, PERIOD, RENEW_LIMIT, Election
from tests.support.postgres import free_port

pytestmark = pytest.mark.integration


@dataclass(slots=True)
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Work:
    """What a leader does: it goes on until it is cancelled."""

    began: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> None:
        self.began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            self.ended.set()

    async def wait(self, event: asyncio.Event) -> None:
        """At the next round of the election; the time is a bound for hanging only."""
        async with asyncio.timeout(60):
            await event.wait()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _candidate(
    port: Api, namespace: str, name: str, clock: Clock, wall: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Election:
    return Election(port, namespace, "lease", name, clock, wall)


async def _holder(port: Api, namespace: str) -> str:
    return str((await port.get(LEASE, namespace, "lease") or {})["spec"]["holderIdentity"])


async def test_of_ten_at_once_one_takes_a_new_lease_and_one_an_old_one(port: Api, api_namespace: str) -> None:
    clock = Clock()
    first = [_candidate(port, api_namespace, f"a{n}", clock) for n in range(10)]
    assert sum(await asyncio.gather(*(one._attempt() for one in first))) == 1
    others = [_candidate(port, api_namespace, f"b{n}", clock) for n in range(10)]
    assert not any(await asyncio.gather(*(one._attempt() for one in others)))
    clock.now += DURATION + 1
    assert sum(await asyncio.gather(*(one._attempt() for one in others))) == 1


async def test_a_lease_is_left_alone_until_its_renewal_has_been_missed_for_its_duration(
    port: Api, api_namespace: str
) -> None:
    clock = Clock()
    one, other = (_candidate(port, api_namespace, name, clock) for name in ("one", "other"))
    assert await one._attempt()
    assert not await other._attempt()
    clock.now += DURATION - 1
    assert not await other._attempt()
    assert await one._attempt()
    clock.now += DURATION - 1
    assert not await other._attempt(), "it was renewed since"
    clock.now += DURATION - 1
    assert not await other._attempt()
    clock.now += 2
    assert await other._attempt()
    assert not await one._attempt()


@pytest.mark.parametrize("off", [timedelta(minutes=-10), timedelta(minutes=10)], ids=["behind", "ahead"])
async def test_a_clock_that_is_wrong_by_ten_minutes_takes_nothing_early_and_holds_nothing_long(
    off: timedelta, port: Api, api_namespace: str
) -> None:
    clock = Clock()
    one = _candidate(port, api_namespace, "one", clock, lambda: datetime.now(UTC) + off)
    other = _candidate(port, api_namespace, "other", clock)
    assert await one._attempt()
    assert not await other._attempt()
    clock.now += DURATION + 1
    assert await other._attempt()
    assert not await one._attempt()
    clock.now += DURATION + 1
    assert await one._attempt()


async def test_a_leader_whose_lease_another_has_stops_its_work(port: Api, api_namespace: str) -> None:
    work = Work()
    one = _candidate(port, api_namespace, "one", Clock())
    standing = asyncio.create_task(one.run(work))
    try:
        await work.wait(work.began)
        hasty = Clock()
        other = _candidate(port, api_namespace, "other", hasty)
        assert not await other._attempt()
        hasty.now += DURATION + 1
        assert await other._attempt()
        await work.wait(work.ended)
        assert not one.is_leader
        assert await _holder(port, api_namespace) == "other"
    finally:
        await _cancelled(standing)


async def test_a_leader_that_can_t_renew_stops_before_another_may_start(port: Api, api_namespace: str) -> None:
    clock = Clock()
    work = Work()
    standing = asyncio.create_task(_candidate(port, api_namespace, "one", clock).run(work))
    try:
        await work.wait(work.began)
        port._configuration.host = f"http://127.0.0.1:{free_port()}"  # nobody answers there
        clock.now += RENEW_LIMIT - PERIOD + 0.1
        await work.wait(work.ended)
        assert clock.now - 1000 < DURATION
    finally:
        await _cancelled(standing)


async def test_a_leader_that_was_frozen_may_not_write_before_it_has_renewed(port: Api, api_namespace: str) -> None:
    clock = Clock()
    work = Work()
    one = _candidate(port, api_namespace, "one", clock)
    port.may_write = one.holds
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late", "namespace": api_namespace}}
    standing = asyncio.create_task(one.run(work))
    try:
        with pytest.raises(ApiUnavailableError, match="POST configmaps: not sent"):
            await port.create(CONFIG_MAP, manifest)
        await work.wait(work.began)
        clock.now += RENEW_LIMIT
        with pytest.raises(ApiUnavailableError, match="POST configmaps: not sent"):
            await port.create(CONFIG_MAP, manifest)
        assert await port.get(CONFIG_MAP, api_namespace, "late") is None, "it may read"
        async with asyncio.timeout(60):
            while not one.holds():  # noqa: ASYNC110  the election tells nobody
                await asyncio.sleep(0.05)
        assert await port.create(CONFIG_MAP, manifest)
        assert not work.ended.is_set(), "nobody else has taken it meanwhile"
    finally:
        await _cancelled(standing)
    assert not one.holds()


async def test_a_leader_that_ends_hands_over_at_once(port: Api, api_namespace: str) -> None:
    clock, work = Clock(), Work()
    standing = asyncio.create_task(_candidate(port, api_namespace, "one", clock).run(work))
    await work.wait(work.began)
    other = _candidate(port, api_namespace, "other", clock)
    assert not await other._attempt()
    await _cancelled(standing)
    assert await other._attempt()
