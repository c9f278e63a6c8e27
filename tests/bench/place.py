"""A namespace with an operator of its own on the local cluster, for benchmarks."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from tests.cluster.fixtures import AS_HELM
from tests.install import ROOT, Tools, alone, install, tools


@contextmanager
def bench_namespace() -> Iterator[tuple[Tools, str]]:
    """The namespace; at the end its resources are deleted in order and the namespace goes."""
    using, namespace = tools(), f"bench-{secrets.token_hex(3)}"
    with alone(using):
        yield from _made(using, namespace)


def _made(using: Tools, namespace: str) -> Iterator[tuple[Tools, str]]:
    using.kubectl("apply", *AS_HELM, "-f", str(ROOT / "crds"))
    using.kubectl("create", "namespace", namespace)
    try:
        options = (f"watchNamespaces={{{namespace}}}", "rbac.aggregateToDefaultRoles=false", "crds.install=false")
        install(using, *options, namespace=namespace)
        yield using, namespace
    finally:
        using.kubectl("delete", "ragtenant", "--all", "-n", namespace, "--timeout=120s", deadline=150)
        using.kubectl("delete", "ragpipeline", "--all", "-n", namespace, "--timeout=60s")
        using.kubectl("delete", "namespace", namespace, "--wait=false")


def apply(using: Tools, namespace: str, *documents: dict[str, Any]) -> None:
    """kubectl apply."""
    using.kubectl("apply", "-n", namespace, "-f", "-", given=yaml.safe_dump_all(documents))


def resources(tenant: str, pages: dict[str, str], **spec: Any) -> list[dict[str, Any]]:
    """A tenant and its pages in a ConfigMap."""
    api = "rag-operator.dev/v1alpha1"
    source = {"name": "handbook", "configMapRef": {"name": f"{tenant}-handbook"}}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{tenant}-handbook"}, "data": pages},
        {
            "apiVersion": api,
            "kind": "RagTenant",
            "metadata": {"name": tenant},
            "spec": {"pipelineRef": {"name": "support"}, "sources": [source]} | spec,
        },
    ]


PIPELINE: dict[str, Any] = {
    "apiVersion": "rag-operator.dev/v1alpha1",
    "kind": "RagPipeline",
    "metadata": {"name": "support"},
    "spec": {"database": {"managed": {}}},
}


def pages(count: int) -> dict[str, str]:
    """Real text: sections of this project's documentation, as many as asked for."""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
    parts = [part for part in text.split("\n## ") if len(part) > 400]
    return {f"page-{number:02d}.md": f"# {parts[number % len(parts)][:3000]}\n" for number in range(count)}


def conditions() -> str:
    """The machine, in a line."""
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} CPUs, {system}, load {os.getloadavg()[0]:.1f}"
