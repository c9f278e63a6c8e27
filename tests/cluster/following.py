"""The loop of the cluster's own small controllers: look again whenever something that they read changes."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence

from tests.cluster.errors import ClusterError
from tests.cluster.kube_api import ApiError, KubeApi

_AT_LEAST_EVERY_SECONDS = 30.0


def follow(api: KubeApi, paths: Sequence[str], reconcile: Callable[[], None]) -> None:
    """Reconcile whenever an object of these collections changes, until ended."""
    changed = threading.Event()
    for path in paths:
        threading.Thread(target=_signal_changes, args=(api, path, changed), daemon=True).start()
    while True:
        changed.wait(timeout=_AT_LEAST_EVERY_SECONDS)
        changed.clear()
        try:
            reconcile()
        except (ApiError, ClusterError, OSError, ValueError) as error:
            print(f"will try again: {error!r}", file=sys.stderr, flush=True)
            time.sleep(1)
            changed.set()


def _signal_changes(api: KubeApi, path: str, changed: threading.Event) -> None:
    while True:
        try:
            for _ in api.watch(path):
                changed.set()
        except (ApiError, OSError, ValueError):
            time.sleep(0.5)
