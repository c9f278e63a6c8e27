"""What time it is for the API server: its answers say so, and a monotonic clock of ours goes on from there.

Ages of objects are reckoned from stamps of its making. With this machine's own clock ten minutes ahead each failed Job
would be started anew at once, and ten minutes behind a pod that doesn't start would be told of ten minutes late.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


class ServerClock:
    """To the second, as the header `Date` is (RFC 9110)."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._date = ""
        self._heard: tuple[datetime, float] | None = None

    def hear(self, date: str) -> None:
        """Take in an answer's `Date`; one that is none is not heard."""
        if date == self._date:
            return
        with contextlib.suppress(ValueError):
            self._heard = parsedate_to_datetime(date).astimezone(UTC), self._monotonic()
            self._date = date

    def now(self) -> datetime | None:
        """The time, in UTC; None before the first answer."""
        if self._heard is None:
            return None
        date, when = self._heard
        return date + timedelta(seconds=self._monotonic() - when)
