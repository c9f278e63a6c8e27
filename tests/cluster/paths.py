"""Where things lie: one cache folder for everything that can be made again, never inside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent

# Unix sockets end at 107 characters; the kubelet's own lie up to 45 below a cluster's folder.
LONGEST_CLUSTER_FOLDER = 60


def cache_root() -> Path:
    """The cache folder: $RAG_CACHE, else rag-operator in the XDG cache folder."""
    named = os.environ.get("RAG_CACHE")
    if named:
        return Path(named).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rag-operator"


def clusters_root() -> Path:
    """The folder that holds one folder per cluster."""
    return cache_root() / "clusters"


def cluster_folder(name: str) -> Path:
    """The folder with everything that the cluster of this name keeps on disk."""
    return clusters_root() / name


def users_folder(name: str) -> Path:
    """Where the test processes that use the pod cluster of this name are listed (see `shared`)."""
    return clusters_root() / "users" / f"pods-{name}"


def run_folder(name: str) -> Path:
    """The folder for sockets and the container runtime's live state; gone after a reboot, as it should be."""
    return Path("/run/rag-operator") / name
