"""A whole list at once, and a task for each object in it, took 190 MiB at ten thousand tenants (docs/benchmarks.md)."""

from __future__ import annotations

from rag_operator.handlers import watches
from rag_operator.kube.client import PAGE


def test_lists_come_in_pages() -> None:
    assert watches.settings().watching.chunk_size == PAGE


def test_a_task_with_an_object_ends_before_the_next_page_is_read() -> None:
    assert watches.settings().queueing.idle_timeout <= 0.2
