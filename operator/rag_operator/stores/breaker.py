"""A breaker: after some failures in a row, calls fail at once until the next trial."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Breaker:
    """Times are seconds of the caller's monotonic clock. One trial per `pause`, however many callers wait."""

    threshold: int = 3
    pause: float = 10.0
    failures: int = 0
    next_trial: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until a call may be tried: 0 means go on, and books the trial when the breaker is open."""
        if self.failures < self.threshold:
            return 0.0
        if now < self.next_trial:
            return self.next_trial - now
        self.next_trial = now + self.pause
        return 0.0

    def state(self, now: float) -> str:
        """`closed`, `open`, or `half-open`: the next call is the trial."""
        if self.failures < self.threshold:
            return "closed"
        return "open" if now < self.next_trial else "half-open"

    def succeeded(self) -> None:
        """Close it."""
        self.failures = 0

    def failed(self, now: float) -> None:
        """Count a failure; from the threshold on, callers fail fast for `pause`."""
        self.failures += 1
        self.next_trial = now + self.pause
