"""Control planes without nodes: many at a time, seconds to start, no root needed. For tests of the API alone."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from tests.cluster import binaries, processes, shared, state
from tests.cluster.control_plane import ControlPlane, Plan, free_ports
from tests.cluster.errors import ClusterError
from tests.cluster.lock import in_turn
from tests.cluster.paths import cluster_folder, clusters_root
from tests.cluster.processes import Ledger

_TRIES = 3


def start(name: str) -> ControlPlane:
    """Start a control plane called `name`; what an earlier one of this name left is removed first."""
    binaries.ensure(binaries.CONTROL_PLANE)
    folder = cluster_folder(name)
    for attempt in range(_TRIES):
        remove(folder)
        plane = _plane(name, folder)
        try:
            _start(plane)
        except ClusterError:
            # A port that was free may be taken when the server asks for it; logs stay with the last failure.
            processes.end(plane.ledger.alive(), grace=1.0)
            if attempt == _TRIES - 1:
                raise
        else:
            return plane
    raise AssertionError("unreachable")


def _plane(name: str, folder: Path) -> ControlPlane:
    port, etcd, peer = free_ports(3)
    plan = Plan(name=name, folder=folder, port=port, etcd_port=etcd, etcd_peer_port=peer)
    return ControlPlane(plan, Ledger(folder / "processes.jsonl", str(folder)))


def _start(plane: ControlPlane) -> None:
    plane.plan.folder.mkdir(parents=True)
    state.State(plane.plan.name, "api", plane.plan.server, {}).write(plane.plan.folder)
    plane.prepare()
    plane.start_api()
    plane.wait_for_api()
    plane.start_controllers()


def remove(folder: Path) -> None:
    """End the control plane in this folder and delete it."""
    ledger = Ledger(folder / "processes.jsonl", str(folder))
    processes.end(ledger.named("kube-controller-manager", "kube-apiserver"), grace=1.0)
    processes.end(ledger.alive(), grace=1.0)
    shutil.rmtree(folder, ignore_errors=True)


def sweep(users: Path) -> None:
    """Remove control planes whose test run was killed; `users` holds one folder per run (see `shared`)."""
    with in_turn(users / "sweep.lock"):  # an old run's folder goes with the lock in it, for which another may wait
        for run in sorted(users.glob("api-*/")):
            shared.sweep(run, partial(remove, clusters_root() / run.name))
