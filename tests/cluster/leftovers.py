"""Taking a cluster away, whether it runs, half runs, or crashed while it started: one path for all three."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from tests.cluster import host, processes, state
from tests.cluster.paths import cluster_folder, run_folder
from tests.cluster.processes import Ledger

# First who would start things anew, then what was started, then what they rest on.
_STARTERS = ("kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager", "metrics-server", "coredns",
             "provisioner", "policies")  # fmt: skip
_KUBELET_FOLDER = Path("/var/lib/kubelet")  # the device plugins' socket is put here whatever --root-dir says
_CNI_FOLDER = Path("/var/lib/cni")
_LOG_LINKS = Path("/var/log/containers")


def remove(name: str, ledger: Ledger) -> None:
    """End the cluster's processes and undo all that it did to the machine."""
    folder, run = cluster_folder(name), run_folder(name)
    known = state.read(folder)
    processes.end(ledger.named(*_STARTERS), grace=2.0)
    host.kill_pods(f"rag-{name}")
    processes.end(ledger.named("containerd"), grace=3.0)
    processes.end(ledger.alive(), grace=1.0)
    host.remove_cgroup(f"rag-{name}")  # not before: a container that is just being made makes its group anew
    host.unmount_below(folder, run)
    if known is not None:
        host.remove_bridge()
        host.remove_chains()
        host.restore_sysctls(known.sysctls)
        _remove_traces(f"rag-{name}", folder)
    for gone in (run, folder):
        subprocess.run(["rm", "-rf", "--", str(gone)], check=True)  # thrice as fast as shutil on unpacked images
    for emptied in (run.parent, *_EMPTY_FOLDERS):
        _remove_if_empty(emptied)


_EMPTY_FOLDERS = (
    _KUBELET_FOLDER / "device-plugins",
    _KUBELET_FOLDER,
    _CNI_FOLDER / "results",
    _CNI_FOLDER,
    _LOG_LINKS,
    Path("/run/containerd/s"),
    Path("/run/containerd"),
)


def _remove_traces(network: str, folder: Path) -> None:
    for link in _LOG_LINKS.glob("*.log"):
        if link.is_symlink() and str(link.readlink()).startswith(str(folder)):
            link.unlink()
    for result in (_CNI_FOLDER / "results").glob(f"{network}-*"):
        container = result.name.removeprefix(f"{network}-").partition("-")[0]
        (result.parent / f"cni-loopback-{container}-lo").unlink(missing_ok=True)
        result.unlink()
    (_KUBELET_FOLDER / "device-plugins" / "kubelet.sock").unlink(missing_ok=True)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not there, or someone else's
        folder.rmdir()
