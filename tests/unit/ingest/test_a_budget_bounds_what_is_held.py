from __future__ import annotations

import asyncio

from rag_runtime.ingest.fetching import Budget


async def test_the_sum_of_what_is_held_stays_below_the_limit() -> None:
    budget, held, most = Budget(10), 0, 0

    async def one(size: int) -> None:
        nonlocal held, most
        taken = await budget.take(size)
        held += taken
        most = max(most, held)
        await asyncio.sleep(0)
        held -= taken
        await budget.give(taken)

    await asyncio.wait_for(asyncio.gather(*(one(size) for size in (3, 4, 5, 6, 1, 2, 10, 9))), 60)
    assert held == 0
    assert 5 < most <= 10


async def test_what_is_larger_than_the_limit_is_held_alone() -> None:
    budget = Budget(10)
    assert await asyncio.wait_for(budget.take(1000), 60) == 10
    waiting = asyncio.create_task(budget.take(1))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await budget.give(10)
    assert await asyncio.wait_for(waiting, 60) == 1
