"""Progress lines for people, on stderr, so that stdout stays for answers such as a kubeconfig's path."""

from __future__ import annotations

import sys
import time

_BEGAN = time.monotonic()


def say(text: str) -> None:
    """Print one line with the seconds since the command began."""
    print(f"[{time.monotonic() - _BEGAN:6.1f} s] {text}", file=sys.stderr, flush=True)
