"""Installing the chart with the local images, as `make demo` and the end-to-end tests do."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import backend, binaries

ROOT = Path(__file__).parent.parent
CHART = ROOT / "charts" / "rag-operator"
SYSTEM = "rag-system"
RELEASE = "rag-operator"
SELECTOR = "app.kubernetes.io/component=operator"
IMAGES = {"operator": "rag-operator/operator", "runtime": "rag-operator/runtime", "postgres": "rag-operator/postgres"}
IMAGES |= {"redis": "rag-operator/redis"}


@dataclass(frozen=True, slots=True)
class Tools:
    """kubectl and Helm against one cluster."""

    kubeconfig: Path
    kubectl_program: str

    def kubectl(self, *arguments: str, given: str | None = None, deadline: float = 120) -> str:
        """kubectl's output; RuntimeError with its words when it fails."""
        return self._run([self.kubectl_program, *arguments], given, deadline)

    def helm(self, *arguments: str, deadline: float = 300) -> str:
        """Helm's output; RuntimeError with its words when it fails."""
        return self._run([binaries.program("helm"), *arguments], None, deadline)

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any]:
        """An object; empty when it is not there."""
        text = self.kubectl("get", kind, name, "-n", namespace, "--ignore-not-found", "-o", "json")
        found: dict[str, Any] = json.loads(text) if text.strip() else {}
        return found

    def environment(self) -> dict[str, str]:
        """The environment of programs that talk to this cluster."""
        return os.environ | {"KUBECONFIG": str(self.kubeconfig)}

    def _run(self, command: list[str], given: str | None, deadline: float) -> str:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, check=False, timeout=deadline, env=self.environment()
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command[:4])} …: {done.stderr.strip()}")
        return done.stdout


def tools(name: str = "main") -> Tools:
    """For the cluster of `make cluster-up`, a kind cluster, or the one that CONTEXT names."""
    cluster = backend.choose(name)
    return Tools(cluster.kubeconfig(), cluster.kubectl())


def chosen_images(tag: str = "dev") -> list[str]:
    """The chart's values for the local images; the tag is that of operator and runtime."""
    tags = {"operator": tag, "runtime": tag}
    parts = {key: (f"repository={name}", f"tag={tags.get(key, 'dev')}") for key, name in IMAGES.items()}
    return [f"images.{key}.{part}" for key, both in parts.items() for part in both]


def install(using: Tools, *settings: str, namespace: str = SYSTEM, release: str = RELEASE) -> None:
    """`helm upgrade --install` with the local images, and wait until the operator is available.

    The kinds become this release's, whoever installed them on this cluster before.
    """
    values = [word for setting in (*chosen_images(), *settings) for word in ("--set", setting)]
    using.helm(
        "upgrade", "--install", release, str(CHART), "--namespace", namespace, "--create-namespace",
        "--take-ownership", "--force-conflicts", "--wait", "--timeout", "180s", *values,
    )  # fmt: skip


@contextmanager
def alone(using: Tools) -> Iterator[None]:
    """Without the cluster-wide operator that `make demo` leaves: two operators would contend for the same resources."""
    name = f"deployment/{RELEASE}"
    there = using.get("deployment", RELEASE, SYSTEM)
    if there:
        using.kubectl("scale", name, "-n", SYSTEM, "--replicas=0")
        using.kubectl("wait", "--for=delete", "pods", "-l", SELECTOR, "-n", SYSTEM, "--timeout=180s")
    try:
        yield
    finally:
        if there:
            using.kubectl("scale", name, "-n", SYSTEM, f"--replicas={there['spec']['replicas']}")
