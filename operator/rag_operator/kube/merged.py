"""Which of our manifests' lists the API server merges by a key, so that items of others stand beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Place: TypeAlias = tuple[str, str]
"""A field within a manifest: the name of what it stands in, and its own."""
Names: TypeAlias = tuple[str, ...]
Keys: TypeAlias = Mapping[Place, Names]
MERGED: Keys = {
    ("metadata", "ownerReferences"): ("uid",),
    ("spec", "containers"): ("name",),
    ("spec", "initContainers"): ("name",),
    ("spec", "volumes"): ("name",),
    ("spec", "imagePullSecrets"): ("name",),
    ("spec", "topologySpreadConstraints"): ("topologyKey", "whenUnsatisfiable"),
    ("spec", "ports"): ("port", "protocol"),
    ("spec", "groups"): ("name",),
    **{
        (containers, field): names
        for containers in ("containers", "initContainers")
        for field, names in {
            "env": ("name",),
            "ports": ("containerPort", "protocol"),
            "volumeMounts": ("mountPath",),
        }.items()
    },
}
"""Those lists (`x-kubernetes-list-map-keys`), each with its key."""


def key_of(item: Any, names: Names) -> tuple[Any, ...] | None:
    """An item's key; None where it has none."""
    if not isinstance(item, Mapping) or any(item.get(name) is None for name in names):
        return None
    return tuple(item[name] for name in names)
