"""How many threads numpy's matrix products take: one, because the embedder brings threads of its own.

OpenBLAS splits every product over its threads and spins at their barrier. On a machine whose cores are shared, or in a
pod with a CPU limit, that costs most of the time: on two cores that others used as well, 2 to 13 chunks/s with its
threads, 15 to 16 with one each in two threads of ours (256 tokens a chunk).
"""

from __future__ import annotations

import ctypes
import math
import os
from pathlib import Path

_SETTERS = ("scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads", "openblas_set_num_threads")


def use_one_thread() -> bool:
    """Tell the OpenBLAS that numpy has loaded; False where it has another library, whose threads stay as they are."""
    for path in _loaded("openblas"):
        library = ctypes.CDLL(path)
        for name in _SETTERS:
            if hasattr(library, name):
                getattr(library, name)(1)
                return True
    return False


def usable_cores() -> int:
    """Cores that this process may use: its affinity, or the limit of its cgroup (v2) if lower; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        limit = math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no cgroup v2, or "max"
        return cores
    return max(1, min(cores, limit))


def _loaded(part: str) -> list[str]:
    """Paths of the shared libraries of this process whose file name contains `part`."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    paths = {line.split(maxsplit=5)[5] for line in lines if line.count(" ") >= 5 and "/" in line}
    return sorted(path for path in paths if part in Path(path).name)
