"""What an operator says of itself at /metrics."""

from __future__ import annotations

import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the exposition."""

    name: str
    labels: dict[str, str]
    value: float


def samples(port: int) -> list[Sample]:
    """All samples of an operator on loopback; none while it doesn't answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
    except OSError:
        return []
    return [Sample(one.name, one.labels, one.value) for family in families for one in family.samples]


def figure(port: int, name: str, **labels: str) -> float:
    """The sum of the samples of that name with those labels."""
    return sum(one.value for one in samples(port) if one.name == name and labels.items() <= one.labels.items())


def until(look: Callable[[], bool], what: str, every: float) -> None:
    """Look each so many seconds, with a line that says what is waited for."""
    print(f"· {what}", file=sys.stderr, flush=True)
    while not look():
        time.sleep(every)
