"""Helm on the chart in this checkout."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import binaries

CHART = Path(__file__).parents[3] / "charts" / "rag-operator"
Object = dict[str, Any]


@dataclass(frozen=True)
class Helm:
    """The real Helm, without a cluster."""

    program: str

    def run(self, *arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        command = [self.program, *arguments, "--values", "-"]
        given = json.dumps(values or {})
        return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)

    def template(
        self, values: Mapping[str, Any] | None = None, release: str = "rag-operator", namespace: str = "rag-system"
    ) -> list[Object]:
        """The manifests of an installation."""
        done = self.run("template", release, str(CHART), "--namespace", namespace, values=values)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    def refusal(self, values: Mapping[str, Any]) -> str:
        """What Helm says to values that it refuses."""
        done = self.run("template", "rag-operator", str(CHART), values=values)
        assert done.returncode != 0
        return done.stderr


@pytest.fixture(scope="session")
def helm() -> Helm:
    binaries.ensure((binaries.EXTRAS,))
    return Helm(binaries.program("helm"))
