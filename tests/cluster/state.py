"""What a running cluster is, written down for the commands that come after: one small JSON file in its folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster.paths import clusters_root


@dataclass(frozen=True, slots=True)
class State:
    """The facts that `down`, `status` and the fixtures need."""

    name: str
    role: str  # "pods": with a node; "api": control plane only
    server: str
    sysctls: dict[str, str]  # values before `up` changed them

    def write(self, folder: Path) -> None:
        """Write in one step, so that a crash leaves the old file or the new one."""
        fresh = folder / "state.json.new"
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(folder / "state.json")


def read(folder: Path) -> State | None:
    """The state in a cluster's folder, or None where none was written."""
    try:
        return State(**json.loads((folder / "state.json").read_text()))
    except FileNotFoundError:
        return None


def of_role(role: str) -> list[State]:
    """The states of all clusters of a role, running or crashed."""
    found = (read(folder) for folder in sorted(clusters_root().glob("*/")))
    return [state for state in found if state is not None and state.role == role]
