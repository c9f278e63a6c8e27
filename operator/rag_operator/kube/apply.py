"""Apply only what differs: an idle operator writes nothing.

A child carries the hash of the manifest it was applied from. A differing hash means that what we want changed (also by
dropping a field). An equal hash with a live object that lacks one of our fields means that another hand changed it.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from rag_operator.api import GROUP
from rag_operator.kube.claim import claimed
from rag_operator.kube.client import Api, Object
from rag_operator.kube.errors import ConflictError, RefusedError
from rag_operator.kube.kinds import CLAIM, SECRET, Kind, kind_of
from rag_operator.kube.merged import MERGED, Names, Place, key_of

ANNOTATION_APPLIED = f"{GROUP}/applied"

_NOWHERE: Place = ("", "")
_WHOLE = frozenset({("spec", "selector"), ("spec", "podSelector"), ("spec", "ingress"), ("spec", "egress")})
"""What is ours as a whole: one more label selects other pods, one more peer or port lets others through."""


class NameTakenError(ConflictError):
    """A child's name belongs to an object that is not ours."""


class FormerChildError(ConflictError):
    """A child's name belongs to what a deleted resource of the owner's name left: the garbage collector removes it."""


async def apply_child(api: Api, manifest: Object, manager: str) -> Object:
    """Bring the child to what the manifest says and return it; no write when it is so already.

    Raises NameTakenError for an object of that name that another controller, or nobody, owns; FormerChildError where
    that owner was of the same name and is gone.
    """
    kind = kind_of(manifest)
    meta = manifest["metadata"]
    live = await api.get(kind, meta["namespace"], meta["name"])
    stamped = _stamped(manifest)
    if live is None:
        return await api.apply(kind, stamped, manager)
    _require_ours(kind, live, meta)
    if _applied(live) == _applied(stamped) and covers(live, stamped):
        return live
    return await _apply_over(api, live, stamped, manager)


async def _apply_over(api: Api, live: Object, manifest: Object, manager: str) -> Object:
    """Apply over what was read; what others have put beside our fields goes where the two together are refused."""
    kind = kind_of(manifest)
    try:
        return await api.apply(kind, _at(live, manifest), manager)
    except RefusedError as refusal:
        entries = claimed(live, manifest, refusal.fields, manager)
        if entries is None:
            raise
        try:
            live = await api.merge(kind, live, {"metadata": {"managedFields": entries}})
            return await api.apply(kind, _at(live, manifest), manager)
        except RefusedError:
            raise refusal from None


async def ensure_secret(api: Api, manifest: Object, *, new: bool = False) -> Object:
    """Create a Secret of random content once; the data of one that exists stay as they are, since they are the truth.

    One that lacks a key, or a key's value, is given all of them anew: its parts belong together. `new`: none is looked
    for. ConflictError where there is one all the same.
    """
    meta = manifest["metadata"]
    live = None if new else await api.get(SECRET, meta["namespace"], meta["name"])
    standing = await _ensured(api, manifest, live)
    held = standing.get("data") or {}
    whole = all(b64decode(held.get(key) or "").strip() for key in manifest["data"])
    return await _brought(api, manifest, standing, {} if whole else manifest["data"])


async def sync_secret(api: Api, manifest: Object, live: Object | None) -> Object:
    """Bring a Secret to the manifest, given what was read under its name.

    No stamp is left: a hash of a secret value tells of it.
    """
    standing = await _ensured(api, manifest, live)
    held, wanted = standing.get("data") or {}, manifest["data"]
    gone: Object = {key: None for key in held if key not in wanted}
    return await _brought(api, manifest, standing, {} if held == wanted else gone | wanted)


async def _ensured(api: Api, manifest: Object, live: Object | None) -> Object:
    if live is None:
        return await api.create(SECRET, manifest)
    _require_ours(SECRET, live, manifest["metadata"])
    return live


async def _brought(api: Api, manifest: Object, standing: Object, data: Object) -> Object:
    """The Secret with these data, and with our labels and owner beside those of others; no write when it is so."""
    changes = {"data": data, "metadata": _metadata_due(standing["metadata"], manifest["metadata"])}
    patch = {part: change for part, change in changes.items() if change}
    return await api.merge(SECRET, standing, patch) if patch else standing


def _metadata_due(live: Object, wanted: Object) -> Object:
    held, owners = live.get("labels") or {}, wanted.get("ownerReferences", [])
    labels = {name: value for name, value in wanted.get("labels", {}).items() if held.get(name) != value}
    due: Object = {"labels": labels} if labels else {}
    if not covers({"metadata": live}, {"metadata": {"ownerReferences": owners}}):
        ours = _owners({"metadata": wanted})
        due["ownerReferences"] = [o for o in live["ownerReferences"] if str(o["uid"]) not in ours] + owners
    return due


async def owned_child(api: Api, kind: Kind, namespace: str, name: str, owner_uid: str) -> Object | None:
    """The child of this owner, None where none of that name is this owner's."""
    live = await api.get(kind, namespace, name)
    return live if live is not None and owner_uid in _owners(live) else None


async def delete_child(api: Api, kind: Kind, namespace: str, name: str, owner_uid: str) -> bool:
    """Delete a child of this owner, if it is there. True when one was deleted."""
    live = await owned_child(api, kind, namespace, name, owner_uid)
    if live is None:
        return False
    await api.delete(kind, live)
    return True


def covers(live: Any, wanted: Any) -> bool:
    """Whether every field of `wanted` stands in `live`: lists item by item, in order.

    Lists that the API server merges by a key may have items of others too, which an apply leaves alone.
    """
    return _covers(live, wanted, _NOWHERE)


def _covers(live: Any, wanted: Any, place: Place) -> bool:
    if place in _WHOLE:
        return _same(live, wanted)
    if _nothing(wanted):
        return True
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(
            _covers(live.get(key), value, (place[1], key)) for key, value in wanted.items()
        )
    if isinstance(wanted, (list, tuple)):
        if not isinstance(live, list):
            return False
        chosen = _matched(live, wanted, MERGED[place]) if place in MERGED else live
        return len(chosen) == len(wanted) and all(
            _covers(have, want, place) for have, want in zip(chosen, wanted, strict=True)
        )
    return bool(live == wanted)


def _matched(live: Sequence[Any], wanted: Sequence[Any], names: Names) -> Sequence[Any]:
    """Of the live items those of the wanted ones' keys, in the order of `wanted`; all where keys tell nothing apart."""
    keys = [key_of(item, names) for item in wanted]
    if None in keys or len(set(keys)) < len(keys):
        return live
    return sorted(
        (item for item in live if key_of(item, names) in keys), key=lambda item: keys.index(key_of(item, names))
    )


def _same(live: Any, wanted: Any) -> bool:
    """Whether `live` has all of `wanted` and nothing else."""
    if _nothing(wanted):
        return _nothing(live)
    if isinstance(wanted, Mapping):
        return (
            isinstance(live, Mapping)
            and live.keys() <= wanted.keys()
            and all(_same(live.get(key), value) for key, value in wanted.items())
        )
    if isinstance(wanted, (list, tuple)):
        return isinstance(live, list) and len(live) == len(wanted) and all(map(_same, live, wanted))
    return bool(live == wanted)


def _nothing(value: Any) -> bool:
    """Empty values are dropped by the server."""
    return value is None or value in ({}, [], ())


def _at(live: Object, manifest: Object) -> Object:
    seen = {key: live["metadata"][key] for key in ("uid", "resourceVersion")}
    return manifest | {"metadata": manifest["metadata"] | seen}


def _stamped(manifest: Object) -> Object:
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    meta = manifest["metadata"]
    stamp = {ANNOTATION_APPLIED: hashlib.sha256(text.encode()).hexdigest()[:16]}
    return manifest | {"metadata": meta | {"annotations": meta.get("annotations", {}) | stamp}}


def _applied(manifest: Object) -> str | None:
    found = manifest["metadata"].get("annotations", {}).get(ANNOTATION_APPLIED)
    return str(found) if found else None


def _owners(live: Object) -> set[str]:
    return {str(owner["uid"]) for owner in live["metadata"].get("ownerReferences", [])}


def _owner_names(live: Object) -> set[tuple[str, str]]:
    return {(str(owner["kind"]), str(owner["name"])) for owner in live["metadata"].get("ownerReferences", [])}


def _require_ours(kind: Kind, live: Object, meta: Mapping[str, Any]) -> None:
    wanted = {str(owner["uid"]) for owner in meta.get("ownerReferences", [])}
    if not wanted or wanted & _owners(live):
        return
    if kind is CLAIM and not _owners(live):
        return  # what a policy of Retain has kept is taken on as it is
    name = f"{kind.kind} {meta['namespace']}/{meta['name']}"
    if _owner_names(live) & _owner_names({"metadata": meta}):
        raise FormerChildError(f"{name} is left of a deleted resource of the same name; Kubernetes is removing it")
    raise NameTakenError(f"{name} exists and is not ours: rename or delete it")
