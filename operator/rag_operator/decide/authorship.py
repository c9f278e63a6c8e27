"""Whose hand changed a part of an object last, as far as `managedFields` can tell.

An entry tells the name that a client gave itself and the time of its last change of anything that it owns; it tells no
user, no change that only removed fields, and nothing of a deletion. The API server's own audit log tells those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str, ...]
OURS = "rag-operator"


@dataclass(frozen=True, slots=True)
class Change:
    """A field manager (`kubectl-client-side-apply`, `argocd-controller` …), its operation, and when, RFC 3339."""

    manager: str
    operation: str
    at: str


def last_change(live: Mapping[str, Any], *paths: Path) -> Change | None:
    """The newest entry, our own aside, that owns a field at or below one of the paths; None where there is none."""
    found = [
        Change(str(entry.get("manager", "")), str(entry.get("operation", "")), str(entry.get("time", "")))
        for entry in live.get("metadata", {}).get("managedFields", [])
        if not str(entry.get("manager", "")).startswith(OURS)
        and any(_owns(entry.get("fieldsV1", {}), path) for path in paths)
    ]
    return max(found, key=lambda change: change.at, default=None)


def _owns(fields: Mapping[str, Any], path: Path) -> bool:
    for step in path:
        below = fields.get(f"f:{step}")
        if below is None:
            return False
        fields = below
    return True
