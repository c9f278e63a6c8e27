from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from rag_operator.engine.queue import Key
from rag_operator.engine.registry import Registry
from rag_operator.engine.resync import GRACE, Delivery

KEYS = [Key("tenant", "rag", name) for name in "abc"]
LISTED = dict.fromkeys(KEYS, "2")


def _body(version: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "rag", "resourceVersion": version}, "spec": {"pipelineRef": {"name": "support"}}}


class Passing:
    """Time that passes at once: what is delivered, or said to be gone, before each look; and what was said there."""

    def __init__(self, *news: Iterable[Key], gone: bool = False) -> None:
        self.registry = Registry()
        for key in KEYS:
            self.registry.observe(key, _body("1"))
        self.delivery = Delivery(self.registry, self._sleep)
        self.said: list[tuple[bool, float]] = []
        self._news = list(news)
        self._gone = gone

    async def _sleep(self, seconds: float) -> None:
        assert seconds == GRACE
        self.said.append(self._now())
        if not self._news:
            raise asyncio.CancelledError
        for key in self._news.pop(0):
            if self._gone:
                self.registry.forget(key)
            else:
                self.registry.observe(key, _body("2"))

    def _now(self) -> tuple[bool, float]:
        return self.delivery.dead, REGISTRY.get_sample_value("rag_operator_watch_stale_objects") or 0.0

    async def verdicts(self) -> list[tuple[bool, float]]:
        """Dead or not and how many lag, after each look."""
        await self.delivery.check(LISTED)
        return [*self.said, self._now()][1:]


@pytest.mark.parametrize(
    ("news", "verdicts"),
    [
        ([KEYS], [(False, 0)]),
        ([[], KEYS], [(False, 3), (False, 0)]),
        ([KEYS[:1], KEYS[1:2], KEYS[2:]], [(False, 2), (False, 1), (False, 0)]),
        ([[], [], [], KEYS], [(False, 3), (True, 3), (True, 3), (False, 0)]),
        ([[], [], KEYS[:2], KEYS[2:]], [(False, 3), (True, 3), (False, 1), (False, 0)]),
        ([[], [], KEYS[:2], [], KEYS[2:]], [(False, 3), (True, 3), (False, 1), (True, 1), (False, 0)]),
    ],
    ids=["in time", "late", "one by one", "dead until all is there", "dead until it delivers", "dead twice"],
)
async def test_a_watch_is_dead_where_nothing_came_between_two_looks_until_something_does(
    news: list[list[Key]], verdicts: list[tuple[bool, float]]
) -> None:
    assert await Passing(*news).verdicts() == verdicts


async def test_what_is_gone_does_not_lag() -> None:
    assert await Passing([], [], KEYS, gone=True).verdicts() == [(False, 3), (True, 3), (False, 0)]


async def test_a_watch_that_delivered_all_that_a_list_shows_is_not_waited_for() -> None:
    passing = Passing()
    for key in KEYS:
        passing.registry.observe(key, _body("2"))
    assert await passing.verdicts() == []
    assert not passing.delivery.dead


async def test_the_verdict_of_a_term_that_ended_is_taken_back_by_the_next() -> None:
    passing = Passing([], [])
    with pytest.raises(asyncio.CancelledError):
        await passing.delivery.check(LISTED)
    assert passing.delivery.dead
    for key in KEYS:
        passing.registry.observe(key, _body("2"))
    await passing.delivery.check(LISTED)
    assert not passing.delivery.dead
