from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_operator.api.cron import PATTERN, is_schedule, spread
from rag_operator.api.formats import Duration, Label, Quantity, Score, Size


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("4h", 14400), ("720h", 2592000), ("1h30m", 5400), ("100ms", 0.1), ("0h5s", 5)]
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert Duration(text).seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("given_size", "size"), [("10Gi", 10 * 2**30), ("512Mi", 2**29), ("1.5k", 1500), ("7", 7), ("1.0001", 2)]
)
def test_a_size_is_bytes_rounded_up(given_size: str, size: int) -> None:
    assert Size(given_size).bytes == size


def test_a_quantity_may_be_a_fraction() -> None:
    assert float(Quantity("500m").value) == 0.5


def test_a_form_keeps_its_text_and_refuses_another_form() -> None:
    assert Score("0.25") == "0.25"
    with pytest.raises(ValueError, match="from 0 to 1"):
        Score("1.5")
    with pytest.raises(ValueError, match="at most 63 characters"):
        Label("a" * 64)


@settings(max_examples=30)
@given(st.from_regex(re.compile(PATTERN, re.ASCII), fullmatch=True), st.integers(0, 2**32))
def test_a_spread_schedule_is_still_one(text: str, offset: int) -> None:
    if is_schedule(text):
        assert is_schedule(spread(text, offset))


@pytest.mark.parametrize(
    ("text", "offset", "spread_text"),
    [
        ("*/15 * * * *", 37, "7-59/15 * * * *"),
        ("0 3 * * *", 61, "1 3 * * *"),
        ("*/7 * * * *", 37, "*/7 * * * *"),
        ("* * * * *", 37, "* * * * *"),
        ("5,35 * * * *", 37, "5,35 * * * *"),
    ],
)
def test_only_minutes_that_nobody_chose_are_spread(text: str, offset: int, spread_text: str) -> None:
    assert spread(text, offset) == spread_text
