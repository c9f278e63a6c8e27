from __future__ import annotations

import asyncio

import pytest

from rag_operator.engine.queue import MAX_DELAY, Key, WorkQueue


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


A = Key("tenant", "rag", "a")
B = Key("tenant", "rag", "b")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue:
    return WorkQueue(clock, lambda: 1.0)


async def test_a_key_added_twice_is_handed_out_once(queue: WorkQueue) -> None:
    queue.add(A)
    queue.add(A)
    assert await queue.get() == A
    assert not queue.waiting()


async def test_a_key_added_during_its_work_comes_again_afterwards_and_not_before(queue: WorkQueue) -> None:
    queue.add(A)
    await queue.get()
    queue.add(A)
    assert not queue.waiting()
    queue.done(A)
    assert await asyncio.wait_for(queue.get(), 60) == A


async def test_keys_come_in_the_order_in_which_they_began_to_wait(queue: WorkQueue) -> None:
    queue.add(B)
    queue.add(A)
    queue.add(B)
    assert [await queue.get(), await queue.get()] == [B, A]


async def test_a_delayed_key_waits_for_its_time(queue: WorkQueue, clock: Clock) -> None:
    queue.add_after(A, 0.05)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.now += 1
    assert await asyncio.wait_for(waiting, 60) == A


async def test_the_earlier_of_two_delays_wins(queue: WorkQueue, clock: Clock) -> None:
    queue.add_after(A, 50)
    queue.add_after(A, 5)
    queue.add_after(A, 20)
    clock.now += 6
    assert await asyncio.wait_for(queue.get(), 60) == A
    queue.done(A)
    clock.now += 100
    queue.add(B)
    assert await asyncio.wait_for(queue.get(), 60) == B
    assert not queue.waiting()


def test_back_off_doubles_up_to_its_limit_and_starts_anew_after_success(queue: WorkQueue) -> None:
    delays = [queue.retry(A) for _ in range(12)]
    assert delays[:4] == [0.5, 1.0, 2.0, 4.0]
    assert max(delays) == MAX_DELAY
    queue.forget(A)
    assert queue.retry(A) == 0.5


def test_the_server_s_retry_after_is_a_lower_bound(queue: WorkQueue) -> None:
    assert queue.retry(A, 7.0) == 7.0


async def test_what_waits_is_told_by_kind_and_cause_with_the_age_of_the_oldest(queue: WorkQueue, clock: Clock) -> None:
    queue.add(A)
    clock.now += 3
    queue.add(B)
    queue.add(Key("pipeline", "rag", "a"), routine=True)
    queue.add_after(Key("tenant", "rag", "later"), 9)
    assert queue.waiting() == {("tenant", "event"): (2, 3), ("pipeline", "resync"): (1, 0)}
    assert (queue.delayed(), queue.working(), queue.full_lanes()) == (1, 0, 0)
    await queue.get()
    assert queue.waiting()["tenant", "event"] == (1, 0)
    assert queue.working() == 1


def _lanes(clock: Clock, width: int = 2) -> WorkQueue:
    """Keys of one namespace share a lane."""
    return WorkQueue(clock, lambda: 1.0, lambda key: Key("tenant", key.namespace, ""), width)


async def test_a_lane_that_is_full_holds_up_no_other(clock: Clock) -> None:
    queue = _lanes(clock)
    slow = [Key("tenant", "slow", str(n)) for n in range(5)]
    for key in slow:
        queue.add(key)
    queue.add(A)
    taken = [await queue.get() for _ in range(3)]
    assert A in taken
    assert queue.waiting()["tenant", "event"][0] == 3
    assert queue.full_lanes() == 1
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done(slow[0])
    assert await asyncio.wait_for(waiting, 60) == slow[2]


async def test_lanes_take_turns(clock: Clock) -> None:
    queue = _lanes(clock, width=10)
    for number in range(3):
        queue.add(Key("tenant", "x", str(number)))
    queue.add(Key("tenant", "y", "0"))
    assert [(await queue.get()).namespace for _ in range(4)] == ["x", "y", "x", "x"]


async def test_what_happened_goes_before_what_is_merely_looked_at(clock: Clock) -> None:
    queue = _lanes(clock, width=10)
    queue.add(A, routine=True)
    queue.add(B, routine=True)
    queue.add(B)
    assert [await queue.get(), await queue.get()] == [B, A]


async def test_a_full_lane_is_no_stall_and_a_free_one_is(clock: Clock) -> None:
    queue = _lanes(clock, width=1)
    queue.add(A)
    queue.add(B)
    await queue.get()
    clock.now += 1000
    assert (queue.waiting()["tenant", "event"], queue.stalled()) == ((1, 1000), 0)
    queue.done(A)
    assert queue.stalled() == 1000


async def test_nothing_is_kept_of_lanes_that_are_through(clock: Clock) -> None:
    queue = _lanes(clock)
    queue.add(A)
    queue.done(await queue.get())
    assert not queue._lanes


async def test_a_new_term_begins_with_nothing_and_lets_what_is_worked_on_end(queue: WorkQueue, clock: Clock) -> None:
    queue.add(A)
    await queue.get()
    queue.add(A)
    queue.add(B)
    queue.retry(B)
    queue.add_after(Key("tenant", "rag", "c"), 5)
    queue.clear()
    clock.now += 100
    queue.done(A)
    assert not queue.waiting()
    assert queue.retry(B) == 0.5
    queue.add(A)
    assert await asyncio.wait_for(queue.get(), 60) == A
    assert not queue.waiting()
