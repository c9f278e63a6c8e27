"""Debian packages that the cluster and the image builds need, installed only where they are missing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.paths import cache_root
from tests.cluster.progress import say

CLUSTER = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "conntrack",
    "iproute2",
    "ipset",
    "socat",
    "openssl",
    "ca-certificates",
)
IMAGES = ("buildah", "mmdebstrap")
TESTS = ("redis-server",)
_POLICY = Path("/usr/sbin/policy-rc.d")


def missing(installed: str, wanted: tuple[str, ...]) -> list[str]:
    """Those of the wanted packages that dpkg-query's lines of `status package` don't show as installed."""
    have = {line.split()[1] for line in installed.splitlines() if line.startswith("ii ")}
    return [package for package in wanted if package not in have]


def ensure(*groups: tuple[str, ...]) -> None:
    """Install the packages of these groups that are missing; none of their services is started."""
    wanted = tuple(package for group in groups for package in group)
    listed = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\\n", *wanted],
        capture_output=True,
        text=True,
        check=False,
    )
    absent = missing(listed.stdout, wanted)
    if not absent:
        return
    say(f"installing Debian packages: {' '.join(absent)}")
    log = cache_root() / "apt.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output, _no_service_starts():
        for command in (["apt-get", "-q", "update"], ["apt-get", "-qy", "install", "--no-install-recommends", *absent]):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            if subprocess.run(command, stdout=output, stderr=output, env=environment, check=False).returncode:
                raise ClusterError(f"`{' '.join(command)}` failed; its output is in {log}")


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Let no package start its service: policy-rc.d answering 101 is Debian's own switch for that."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
