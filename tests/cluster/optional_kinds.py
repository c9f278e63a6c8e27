"""Genuine CustomResourceDefinitions of others, out of their Go modules' archives: downloaded once, never built.

Pinned by the checksum that Go's checksum database has of the archive; in Go's module cache from then on.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError


@dataclass(frozen=True, slots=True)
class Source:
    """A module at a version, the checksum of its archive, and files within."""

    module: str
    version: str
    checksum: str
    files: tuple[str, ...]


_MONITORING = "example/prometheus-operator-crd/monitoring.coreos.com"
PROMETHEUS_OPERATOR = Source(
    "github.com/prometheus-operator/prometheus-operator",
    "v0.85.0",
    "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
    (f"{_MONITORING}_servicemonitors.yaml", f"{_MONITORING}_prometheusrules.yaml"),
)
KEDA = Source(
    "github.com/kedacore/keda/v2",
    "v2.21.0",
    "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
    ("config/crd/bases/keda.sh_scaledobjects.yaml",),
)


def definitions(source: Source) -> list[Path]:
    """The files. Raises ClusterError where they can't be had, or are not the pinned ones."""
    command = ["go", "mod", "download", "-json", f"{source.module}@{source.version}"]
    # away from any go.mod, so that none is changed
    with tempfile.TemporaryDirectory() as nowhere:
        done = subprocess.run(command, cwd=nowhere, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise ClusterError(f"{source.module} can't be downloaded: {done.stdout}{done.stderr}")
    found = json.loads(done.stdout)
    if found["Sum"] != source.checksum:
        raise ClusterError(f"{source.module} {source.version} is not the pinned one: {found['Sum']}")
    return [Path(found["Dir"]) / file for file in source.files]
