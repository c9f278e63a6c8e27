"""What the cluster changes on the machine around it, and how each of that is put back."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.processes import wait_until

BRIDGE = "rag-br0"
NODE_ADDRESS = "10.244.0.1"
POD_RANGE = "10.244.0.0/24"
_CGROUPS = Path("/sys/fs/cgroup")
_MNT_DETACH = 2
_PODS_END_SECONDS = 60.0
_CHAIN_PREFIXES = ("KUBE-", "CNI-", "NETPOL-")

# None: not ours to set, but kubelet or kube-proxy do; all are put back.
_SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.route_localnet": None,
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.netfilter.nf_conntrack_tcp_timeout_established": None,
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait": None,
    "vm.overcommit_memory": None,
    "vm.panic_on_oom": None,
    "kernel.panic": None,
    "kernel.panic_on_oops": None,
    "kernel.keys.root_maxkeys": None,
    "kernel.keys.root_maxbytes": None,
}


def run(*command: str, given: str | None = None) -> str:
    """Run a system tool; its output, or a ClusterError with its words."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout


def available_memory() -> int:
    """Bytes that programs can still have."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found.group(1)) << 10 if found else 0


# --- kernel settings


def _sysctl(name: str) -> Path:
    return Path("/proc/sys") / name.replace(".", "/")


def read_sysctls() -> dict[str, str]:
    """The present values of the settings that the cluster changes."""
    return {name: _sysctl(name).read_text().strip() for name in _SYSCTLS if _sysctl(name).exists()}


def set_sysctls() -> None:
    """Let packets pass between pods, services and this machine."""
    for name, value in _SYSCTLS.items():
        if value is not None and _sysctl(name).exists():
            _sysctl(name).write_text(value)


def restore_sysctls(before: dict[str, str]) -> None:
    """Put the settings back."""
    for name, value in before.items():
        if _sysctl(name).exists() and _sysctl(name).read_text().strip() != value:
            _sysctl(name).write_text(value)


# --- the bridge


def bridge_exists() -> bool:
    """Whether the pods' bridge is there."""
    return (Path("/sys/class/net") / BRIDGE).exists()


def add_bridge() -> None:
    """Make the pods' bridge; its address is the node's."""
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{NODE_ADDRESS}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")


def remove_bridge() -> None:
    """Remove the bridge and the pods' ends of it."""
    for port in sorted((Path("/sys/class/net") / BRIDGE / "brif").glob("*")):
        subprocess.run(["ip", "link", "delete", port.name], capture_output=True, check=False)
    if bridge_exists():
        run("ip", "link", "delete", BRIDGE)


# --- iptables


def chains_of_kubernetes(saved: str) -> list[str]:
    """The chains of kubelet, kube-proxy, the CNI plugins and the policies in an iptables-save document."""
    names = re.findall(r"^:(\S+)", saved, re.MULTILINE)
    return [name for name in names if name.startswith(_CHAIN_PREFIXES)]


def without_kubernetes(saved: str) -> str:
    """What iptables-restore --noflush needs to take exactly those chains out, with the rules that lead to them."""
    script = []
    for table, body in re.findall(r"^\*(\S+)\n(.*?)^COMMIT$", saved, re.MULTILINE | re.DOTALL):
        chains = chains_of_kubernetes(body)
        rules = [line for line in body.splitlines() if line.startswith("-A ")]
        entries = ["-D" + rule[2:] for rule in rules if _leads_to(rule, chains) and rule.split()[1] not in chains]
        if chains or entries:
            flush = [f"-F {chain}" for chain in chains]
            script += [f"*{table}", *entries, *flush, *(f"-X {chain}" for chain in chains), "COMMIT"]
    return "\n".join(script) + "\n" if script else ""


def _leads_to(rule: str, chains: list[str]) -> bool:
    jump = re.search(r" -[jg] (\S+)", rule)
    return bool(jump and jump.group(1) in chains)


def leftover_chains() -> list[str]:
    """The chains of Kubernetes in both address families."""
    return [chain for family in ("iptables", "ip6tables") for chain in chains_of_kubernetes(_saved(family))]


def remove_chains() -> None:
    """Take the chains of Kubernetes out of both address families, and nothing else."""
    for family in ("iptables", "ip6tables"):
        script = without_kubernetes(_saved(family))
        if script:
            run(f"{family}-restore", "--noflush", given=script)


def _saved(family: str) -> str:
    if shutil.which(f"{family}-save") is None:
        return ""
    return subprocess.run([f"{family}-save"], capture_output=True, text=True, check=False).stdout


# --- mounts


def mounts_below(mountinfo: str, folders: Iterable[Path]) -> list[str]:
    """The mount points in or below these folders, innermost first, out of /proc/self/mountinfo."""
    points = [_unescape(line.split()[4]) for line in mountinfo.splitlines()]
    wanted = [str(folder) for folder in folders]
    below = [point for point in points if any(point == one or point.startswith(one + "/") for one in wanted)]
    return sorted(below, key=len, reverse=True)


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), field)


def mounted_below(*folders: Path) -> list[str]:
    """The mount points in or below these folders now."""
    return mounts_below(Path("/proc/self/mountinfo").read_text(), folders)


def unmount_below(*folders: Path) -> None:
    """Unmount all in or below these folders, innermost first."""
    libc = ctypes.CDLL(None, use_errno=True)
    for point in mounted_below(*folders):
        if libc.umount2(point.encode(), _MNT_DETACH):
            raise ClusterError(f"can't unmount {point}: {os.strerror(ctypes.get_errno())}")


# --- control groups: every process of a pod is in the cluster's own


def _hierarchies() -> Iterator[Path]:
    if (_CGROUPS / "cgroup.controllers").exists():
        yield _CGROUPS
    else:
        yield from (entry for entry in sorted(_CGROUPS.iterdir()) if entry.is_dir() and not entry.is_symlink())


def cgroups(name: str) -> list[Path]:
    """The folders of the cluster's control group, one per hierarchy."""
    return [hierarchy / name for hierarchy in _hierarchies() if (hierarchy / name).is_dir()]


def make_cgroup(name: str) -> None:
    """Make the control group in which the kubelet keeps its pods."""
    for hierarchy in _hierarchies():
        controllers = hierarchy / "cgroup.controllers"
        if controllers.exists() and hierarchy == _CGROUPS:
            (hierarchy / "cgroup.subtree_control").write_text(
                " ".join("+" + one for one in controllers.read_text().split())
            )
        elif hierarchy.name == "unified":
            continue
        (hierarchy / name).mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / name / setting).exists() and not controllers.exists():
                (hierarchy / name / setting).write_text((hierarchy / setting).read_text())


def _below(group: Path) -> list[Path]:
    """The group and all within, the deepest first; `walk` passes over what goes away meanwhile, `rglob` fails on it."""
    return [Path(folder) for folder, _, _ in os.walk(group, topdown=False)]


_WENT_AWAY = (errno.ENOENT, errno.ENODEV)
"""A control group that is removed meanwhile: before it is opened, and after."""


def pids_in(name: str) -> set[int]:
    """The processes of the cluster's pods."""
    found: set[int] = set()
    for group in cgroups(name):
        for folder in _below(group):
            try:
                found.update(map(int, (folder / "cgroup.procs").read_text().split()))
            except OSError as error:
                if error.errno not in _WENT_AWAY:
                    raise
    return found


def kill_pods(name: str) -> None:
    """Kill what runs in the control group."""

    def empty() -> bool:
        for pid in pids_in(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids_in(name)

    if not wait_until(empty, _PODS_END_SECONDS):
        raise ClusterError(f"processes of pods don't end: {sorted(pids_in(name))}")


def remove_cgroup(name: str) -> None:
    """Remove the control group, once nobody makes new ones in it; the kernel may hold one busy for a moment."""

    def removed() -> bool:
        kill_pods(name)
        for group in cgroups(name):
            for folder in _below(group):
                with contextlib.suppress(OSError):
                    folder.rmdir()
        return not cgroups(name)

    if not wait_until(removed, _PODS_END_SECONDS):
        raise ClusterError(f"control groups can't be removed: {', '.join(map(str, cgroups(name)))}")
