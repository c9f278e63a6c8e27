"""kubectl against a real API server that has our CRDs, in a namespace of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest
import yaml

from tests.cluster.binaries import program

CRDS = Path(__file__).parents[3] / "crds"


class Api(Protocol):
    """What these tests need of the control plane's fixture."""

    @property
    def kubeconfig(self) -> Path: ...

    def install_kinds(self, definitions: Path) -> None:
        """Apply definitions and wait until they are served."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl as a person uses it; the namespace is one of this test's own."""

    kubeconfig: Path
    namespace: str

    def run(self, *arguments: str, document: Any = None) -> subprocess.CompletedProcess[str]:
        command = [program("kubectl"), f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *arguments]
        text = yaml.safe_dump(document) if document else None
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)

    def __call__(self, *arguments: str, document: Any = None) -> str:
        done = self.run(*arguments, document=document)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, resource: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
        here = resource | {"metadata": resource["metadata"] | {"namespace": self.namespace}}
        return self.run("apply", "-f", "-", *arguments, document=here)

    def get(self, kind: str, name: str) -> Any:
        return json.loads(self("get", kind, name, "-o", "json"))


@pytest.fixture(scope="module")
def kubectl(api: Api) -> Iterator[Kubectl]:
    made = Kubectl(api.kubeconfig, f"admission-{uuid4().hex[:8]}")
    api.install_kinds(CRDS)
    made("create", "namespace", made.namespace)
    yield made
    made("delete", "namespace", made.namespace, "--wait=false")
