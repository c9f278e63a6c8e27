"""The cluster's programs, built from Go modules into the cache: one folder per module, keyed by what pins it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.lock import in_turn
from tests.cluster.paths import HERE, cache_root
from tests.cluster.progress import say

KUBERNETES_VERSION = "v1.34.4"
_VERSION = "k8s.io/component-base/version"
# Without these the programs call themselves v0.0.0-master, which Helm's kubeVersion check refuses.
_KUBERNETES_FLAGS = (
    f"-X {_VERSION}.gitVersion={KUBERNETES_VERSION} -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=34"
    f" -X {_VERSION}.gitTreeState=clean"
)
_HEARTBEAT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Module:
    """One go.mod with `tool` lines (or a program of its own), and the programs that come out of it."""

    name: str
    programs: tuple[str, ...]
    cold_seconds: int  # measured on two cores with an empty build cache
    flags: str = ""
    packages: str = "tool"
    renamed: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        """The folder with go.mod."""
        return HERE / "tools" / self.name

    def key(self) -> str:
        """A hash of all that decides what is built."""
        digest = hashlib.sha256(self.flags.encode())
        for path in sorted(self.source.iterdir()):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()[:16]

    def folder(self) -> Path:
        """Where the programs lie once built."""
        return cache_root() / "tools" / f"{self.name}-{self.key()}"


KUBERNETES = Module(
    "kubernetes",
    ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"),
    520,
    _KUBERNETES_FLAGS,
)
ETCD = Module("etcd", ("etcd",), 88, renamed={"server": "etcd"})
COREDNS = Module("coredns", ("coredns",), 130, packages=".")
EXTRAS = Module("extras", ("helm", "metrics-server", "kubeconform"), 290)
PAUSE = Module("pause", ("pause",), 5, packages=".")

CONTROL_PLANE = (ETCD, KUBERNETES)
WHOLE_CLUSTER = (ETCD, KUBERNETES, COREDNS, EXTRAS, PAUSE)
_MODULES = {program: module for module in WHOLE_CLUSTER for program in module.programs}


def program(name: str) -> str:
    """The path of a built program."""
    return str(_MODULES[name].folder() / name)


def bin_folder() -> Path:
    """A folder of links to the current programs, for a person's PATH."""
    return cache_root() / "bin"


def ensure(modules: tuple[Module, ...] = WHOLE_CLUSTER) -> None:
    """Build what is not in the cache yet, and renew the links."""
    for module in modules:
        if not module.folder().is_dir():
            with in_turn(cache_root() / "tools" / f"{module.name}.lock"):
                if not module.folder().is_dir():
                    _build(module)
        _link(module)


def _build(module: Module) -> None:
    if shutil.which("go") is None:
        raise ClusterError("the local cluster is built from Go modules, and `go` (1.26 or newer) is not on PATH")
    say(f"building {', '.join(module.programs)} (about {module.cold_seconds} s with an empty Go build cache)")
    began = time.monotonic()
    unfinished = module.folder().with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    # The compiler with less collecting of garbage: etcd in 70 s for 92 s, for about twice the memory.
    environment = {"GOGC": "400", **os.environ, "CGO_ENABLED": "0", "GOBIN": str(unfinished)}
    command = ["go", "install", "-buildvcs=false", "-ldflags", f"-s -w {module.flags}".strip(), module.packages]
    log = unfinished.with_suffix(".log")
    with log.open("wb") as output:
        building = subprocess.Popen(command, cwd=module.source, env=environment, stdout=output, stderr=output)
        _watch(building, module, began)
    if building.returncode:
        raise ClusterError(f"building {module.name} failed; the compiler's words are in {log}")
    for old, new in module.renamed.items():
        (unfinished / old).rename(unfinished / new)
    unfinished.rename(module.folder())
    say(f"built {module.name} in {time.monotonic() - began:.0f} s")


def _watch(building: subprocess.Popen[bytes], module: Module, began: float) -> None:
    while True:
        try:
            building.wait(_HEARTBEAT_SECONDS)
            return
        except subprocess.TimeoutExpired:
            say(f"… still building {module.name}, {time.monotonic() - began:.0f} s")
        except BaseException:
            building.kill()
            building.wait()
            raise


def _link(module: Module) -> None:
    bin_folder().mkdir(parents=True, exist_ok=True)
    for name in module.programs:
        link, target = bin_folder() / name, module.folder() / name
        if not (link.is_symlink() and link.readlink() == target):
            fresh = link.with_name(f".{name}.{os.getpid()}")
            fresh.symlink_to(target)
            fresh.replace(link)
