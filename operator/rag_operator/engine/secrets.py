"""Reading Secrets that users name: what is missing becomes a sentence, what is there is known by uid and version."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass

from rag_operator.api.conditions import Reason
from rag_operator.decide.checks import Check
from rag_operator.kube.client import Api, Object
from rag_operator.kube.kinds import SECRET


@dataclass(frozen=True, slots=True)
class Found:
    """A Secret that was read: its version never tells of its content."""

    name: str
    version: str
    data: dict[str, bytes]

    def __repr__(self) -> str:
        return f"Found({self.name!r}, {self.version!r}, keys={sorted(self.data)})"


def found(live: Object) -> Found:
    """What a Secret object holds."""
    meta = live["metadata"]
    data = {key: b64decode(value) for key, value in (live.get("data") or {}).items()}
    return Found(meta["name"], f"{meta['uid']}/{meta['resourceVersion']}", data)


async def read_secret(api: Api, namespace: str, name: str, field: str, keys: Iterable[str] = ()) -> Found | Check:
    """The Secret, or a Check that says which field names what is not there."""
    live = await api.get(SECRET, namespace, name)
    if live is None:
        return Check(False, Reason.SECRET_NOT_FOUND, f"{field}: Secret {namespace}/{name} does not exist: create it")
    secret = found(live)
    missing = [key for key in keys if not secret.data.get(key)]
    if missing:
        message = f"{field}: Secret {namespace}/{name} lacks the key {missing[0]}: add it"
        return Check(False, Reason.SECRET_INVALID, message)
    return secret
