"""Takes away what stands beside our fields where the API server refuses the two together.

An apply leaves alone what others own: a `value` beside our `valueFrom`, a second source in our volume, a second port of
our port's name. Each of those makes every apply of ours invalid, for ever. So what the server complains of is made ours
alone (`metadata.managedFields`, for which nothing restarts), and the next apply, which lacks it, removes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

from rag_operator.kube.merged import MERGED, Names, key_of

_Path: TypeAlias = tuple[str, ...]
"""Names of fields from the object down, in small letters, since the server writes some otherwise; items have none."""
_Steps: TypeAlias = tuple[str, ...]
"""The same in the form of managedFields (FieldsV1): `f:` and a field's name, `k:` and an item's key."""
_INDEX = re.compile(r"\[[^\]]*\]")
_WIDE = frozenset({"spec", "template", "jobtemplate", "containers", "initcontainers"})
"""Where others may have fields that have nothing to do with those beside them."""


@dataclass(frozen=True, slots=True)
class _Addition:
    """A field or an item that stands in a live object and not in our manifest."""

    path: _Path
    steps: _Steps
    shares: frozenset[str] | None = None
    """Of an item: the fields whose values one of our items of the list has too."""

    def is_meant(self, complaint: _Path) -> bool:
        """Whether the API server complains of it, of its narrow place, or of the wide one that it stands in."""
        place, last = complaint[:-1], complaint[-1]
        if self.shares is not None:
            return self.path == place and last in self.shares
        if last in _WIDE:
            return self.path[:-1] == complaint
        narrow = complaint if not place or place[-1] in _WIDE else place
        return self.path[: len(narrow)] == narrow


def claimed(
    live: Mapping[str, Any], wanted: Mapping[str, Any], refused: Sequence[str], manager: str
) -> list[dict[str, Any]] | None:
    """The live object's managedFields with what stands beside ours at the refused fields as the manager's alone.

    `refused`: fields as the API server names them. None where nothing stands there, or all is the manager's already.
    """
    complaints = [tuple(_INDEX.sub("", field).lower().split(".")) for field in refused]
    taken = [one.steps for one in _additions(live, wanted, (), ()) if any(map(one.is_meant, complaints))]
    new = {"manager": manager, "operation": "Apply", "apiVersion": wanted["apiVersion"], "fieldsType": "FieldsV1"}
    entries: list[dict[str, Any]] = live["metadata"].get("managedFields", [])
    own = next((entry for entry in entries if _is_of(entry, new)), new | {"fieldsV1": {}})
    others = [entry | {"fieldsV1": reduce(_without, taken, entry["fieldsV1"])} for entry in entries if entry != own]
    ours = own | {"fieldsV1": reduce(_with, taken, own["fieldsV1"])}
    if ours == own and all(entry in entries for entry in others):
        return None
    return [*(entry for entry in others if entry["fieldsV1"]), ours]


def _additions(live: Mapping[str, Any], wanted: Mapping[str, Any], path: _Path, steps: _Steps) -> Iterator[_Addition]:
    for name, have in live.items():
        ours, here, there = wanted.get(name), (*path, name.lower()), (*steps, f"f:{name}")
        if name == "metadata":
            continue
        if name not in wanted:
            yield _Addition(here, there)
        elif isinstance(have, Mapping) and isinstance(ours, Mapping):
            yield from _additions(have, ours, here, there)
        elif isinstance(have, list) and (names := MERGED.get((_name(steps), name))):
            yield from _additional_items(have, ours or (), names, here, there)


def _name(steps: _Steps) -> str:
    """Of the field that the steps lead to, or into an item of."""
    return next((step[2:] for step in reversed(steps) if step.startswith("f:")), "")


def _additional_items(
    live: Sequence[Any], wanted: Sequence[Any], names: Names, path: _Path, steps: _Steps
) -> Iterator[_Addition]:
    ours = {key_of(item, names): item for item in wanted}
    for item in live:
        key = key_of(item, names)
        if key is None:
            continue
        there = (*steps, "k:" + json.dumps(dict(sorted(zip(names, key, strict=True))), separators=(",", ":")))
        if key in ours:
            yield from _additions(item, ours[key], path, there)
        else:
            shares = {name.lower() for name, value in item.items() if any(o.get(name) == value for o in wanted)}
            yield _Addition(path, there, frozenset(shares))


def _is_of(entry: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    return all(entry.get(part) == said for part, said in own.items()) and not entry.get("subresource")


def _with(fields: Mapping[str, Any], steps: _Steps) -> dict[str, Any]:
    if not steps:
        return dict(fields)
    return {**fields, steps[0]: _with(fields.get(steps[0], {}), steps[1:])}


def _without(fields: Mapping[str, Any], steps: _Steps) -> dict[str, Any]:
    """What remains; a field that has nothing left within would read as the whole of it, and goes too."""
    first, *rest = steps
    inner = fields.get(first)
    if inner is None or (rest and not inner):
        return dict(fields)
    left = _without(inner, tuple(rest)) if rest else {}
    return {name: value for name, value in fields.items() if name != first} | ({first: left} if left else {})
