"""A cluster that a person named with CONTEXT: used as it is, never created, never removed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.paths import clusters_root
from tests.cluster.progress import say


class ExistingCluster:
    """One context of the person's own kubeconfig."""

    def __init__(self, context: str) -> None:
        self.name = context

    def up(self) -> None:
        """Check that the cluster answers."""
        if not self.is_up():
            raise ClusterError(
                f"the cluster of context {self.name} does not answer: {self._ask('version').stderr.strip()}"
            )
        say(f"using the cluster of context {self.name} as it is")

    def down(self) -> None:
        """Leave it alone."""
        say(f"the cluster of context {self.name} is not ours; it stays")

    def is_up(self) -> bool:
        """Whether it answers."""
        return self._ask("version").returncode == 0

    def status(self) -> str:
        """What kubectl says about its nodes."""
        return self._ask("get", "nodes", "-o", "wide").stdout

    def kubeconfig(self) -> Path:
        """A kubeconfig with nothing but this context, so that no tool follows the current one by accident."""
        done = self._ask("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
        if done.returncode:
            raise ClusterError(f"no context {self.name}: {done.stderr.strip()}")
        safe = "".join(letter if letter.isalnum() else "-" for letter in self.name)
        path = clusters_root() / f"context-{safe}" / "kubeconfig"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(done.stdout)
        return path

    def audit_log(self) -> Path | None:
        """Out of reach."""
        return None

    def kubectl(self) -> str:
        """The person's own."""
        return "kubectl"

    def build_images(self) -> None:
        """The images of such a cluster come from its registry."""
        say("no images go to a cluster of yours: push rag-operator/operator:dev and the others to its registry")

    def release_images(self, version: str) -> None:
        """As `build_images`."""
        say(f"push rag-operator/operator:{version} and rag-operator/runtime:{version} to its registry")

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["kubectl", "--context", self.name, "--request-timeout=10s", *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise ClusterError("CONTEXT needs kubectl on PATH") from None
