"""Reading the certificates that clients of endpoints and sources trust: missing or broken ones become a sentence."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from rag_operator.api.conditions import Reason
from rag_operator.api.endpoint import AuthorityRef
from rag_operator.api.names import short_hash
from rag_operator.build import authorities
from rag_operator.decide.checks import GOOD, Check
from rag_operator.kube.client import Api
from rag_operator.kube.kinds import CONFIG_MAP


@dataclass(frozen=True, slots=True)
class Authorities:
    """What was found: a version of each that is there and whole, by `authorities.key_of`, and the first trouble."""

    check: Check
    versions: dict[str, str]


async def read_authorities(api: Api, namespace: str, refs: Iterable[AuthorityRef]) -> Authorities:
    """All those named. A version is a hash of the content: another label of a ConfigMap rolls nothing."""
    versions: dict[str, str] = {}
    trouble: Check | None = None
    for ref in sorted(set(refs), key=authorities.key_of):
        found = await _read(api, namespace, ref)
        if isinstance(found, Check):
            trouble = trouble or found
        else:
            versions[authorities.key_of(ref)] = short_hash(found, 12)
    return Authorities(trouble or GOOD, versions)


async def _read(api: Api, namespace: str, ref: AuthorityRef) -> str | Check:
    name = f"caRef: ConfigMap {namespace}/{ref.name}"
    live = await api.get(CONFIG_MAP, namespace, ref.name)
    if live is None:
        return Check(False, Reason.CA_NOT_FOUND, f"{name} does not exist: create it")
    text = str((live.get("data") or {}).get(ref.key, ""))
    if not text.strip():
        return Check(False, Reason.CA_INVALID, f"{name} lacks the key {ref.key}: add it")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        return Check(False, Reason.CA_INVALID, f"{name}: the key {ref.key} holds no PEM certificates: put them there")
    return text
