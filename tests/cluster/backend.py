"""The small interface behind which a cluster may be ours, kind's, or one that a person named."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from tests.cluster.errors import ClusterError


class Backend(Protocol):
    """One cluster that can run pods."""

    name: str

    def up(self) -> None:
        """Make the cluster usable; nothing is done where it already is."""

    def down(self) -> None:
        """Remove the cluster and all that it left on the machine."""

    def is_up(self) -> bool:
        """Whether the cluster can be used now."""

    def status(self) -> str:
        """A few lines for a person."""

    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, with this one context."""

    def audit_log(self) -> Path | None:
        """The API server's audit log, where this machine can read it."""

    def kubectl(self) -> str:
        """The kubectl to use."""

    def build_images(self) -> None:
        """Build the four images and bring them to the node."""

    def release_images(self, version: str) -> None:
        """Bring the operator's and the runtime's image to the node once more, as a release of this version."""


def choose(name: str) -> Backend:
    """$CONTEXT if a person named one; kind where a container engine and kind are at hand; else our own."""
    # Here, since each of them imports what the other two never need.
    from tests.cluster.existing import ExistingCluster
    from tests.cluster.kind import KindCluster
    from tests.cluster.local import LocalCluster

    context = os.environ.get("CONTEXT")
    if context:
        return ExistingCluster(context)
    check_name(name)
    if shutil.which("kind") and engine_works():
        return KindCluster(name)
    return LocalCluster(name)


def check_name(name: str) -> None:
    """Names become folders, cgroups and node names."""
    if not (name.isascii() and name.replace("-", "").isalnum() and name == name.lower() and len(name) <= 20):
        raise ClusterError(f"{name!r} is no name for a cluster: at most 20 small letters, digits and dashes")


def engine_works() -> bool:
    """Whether a container engine answers, not only its client."""
    if shutil.which("docker") is None:
        return False
    return not subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60).returncode
