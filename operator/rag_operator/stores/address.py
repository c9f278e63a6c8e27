"""Where a database is, read from a Secret. The password never shows in a repr, a log or an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict

from rag_operator.api.conditions import Reason
from rag_operator.api.errors import PermanentError

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_PASSED_ON = frozenset(
    {"target_session_attrs", "channel_binding", "sslnegotiation", "gssencmode", "load_balance_hosts"}
)
_OURS = frozenset({"application_name", "fallback_application_name", "connect_timeout"})
"""Parameters of a URI that the operator sets itself."""
_PARTS = frozenset({"host", "port", "dbname", "user", "password", "sslmode"})


class StoreProblem(PermanentError):  # noqa: N818  it names the finding, and reads as one
    """A person must mend it: `reason` is for the condition, the text says the mend."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A database and the operator's login there. Equal ones share connections, so a new password means new ones."""

    host: str
    port: int
    dbname: str
    username: str
    password: str = field(repr=False)
    sslmode: str = "prefer"
    ca: str = field(default="", repr=False)
    """PEM certificates that the server's one is checked against; empty: the system's, or none below verify-ca."""
    extra: tuple[tuple[str, str], ...] = ()
    """Further libpq parameters of a URI, sorted."""
    secret: str = field(default="", compare=False)
    """Name of the Secret it was read from, for messages."""

    @property
    def where(self) -> str:
        """`host:port/dbname`, for messages."""
        return f"{self.host}:{self.port}/{self.dbname}"

    @property
    def source(self) -> str:
        """The Secret, for messages."""
        return f"Secret {self.secret}" if self.secret else "the database's Secret"


def parse_secret(data: Mapping[str, bytes], secret: str = "", namespace: str = "") -> DatabaseAddress:
    """The address in a Secret's decoded data: `uri`, else `host`, `port`, `dbname`, `username` (or `user`), `password`.

    `sslmode` and `ca` (or `ca.crt`) are read beside either form; CloudNativePG's Secrets have both, and there `uri` is
    the one with a host that resolves everywhere. With `namespace` a host of one word is read as a Service of it, since
    that is what it means to pods beside the Secret. StoreProblem SECRET_INVALID names the key and the mend.
    """
    values = {key: _text(key, value, secret) for key, value in data.items()}
    parts = _from_uri(values["uri"], secret) if values.get("uri") else _from_keys(values)
    for key in ("host", "dbname", "username", "password"):
        if not parts.get(key):
            raise _invalid(secret, f"lacks the key {key}: give uri, or host, port, dbname, username and password")
    sslmode = values.get("sslmode") or parts.get("sslmode") or ("verify-full" if _ca(values) else "prefer")
    if sslmode not in _SSL_MODES:
        raise _invalid(secret, f"has sslmode {sslmode!r}: use one of {', '.join(_SSL_MODES)}")
    if sslmode == "verify-ca" and not _ca(values):
        raise _invalid(
            secret, "has sslmode verify-ca but lacks the key ca: give the PEM certificates, or use verify-full"
        )
    return DatabaseAddress(
        host=_qualified(parts["host"], namespace),
        port=_port(parts.get("port") or "5432", secret),
        dbname=parts["dbname"],
        username=parts["username"],
        password=parts["password"],
        sslmode=sslmode,
        ca=_ca(values),
        extra=tuple(sorted((key, parts[key]) for key in _PASSED_ON if parts.get(key))),
        secret=secret,
    )


def _invalid(secret: str, what: str) -> StoreProblem:
    return StoreProblem(Reason.SECRET_INVALID, f"{f'Secret {secret}' if secret else 'the database Secret'} {what}")


def _text(key: str, value: bytes, secret: str) -> str:
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        raise _invalid(secret, f"has a key {key} that is no UTF-8 text: write it again") from None


def _ca(values: Mapping[str, str]) -> str:
    return values.get("ca") or values.get("ca.crt") or ""


def _from_uri(uri: str, secret: str) -> dict[str, str]:
    try:
        parts = {key: str(value) for key, value in conninfo_to_dict(uri).items() if value is not None}
    except psycopg.ProgrammingError:
        # libpq's own words may quote the URI, and with it the password
        raise _invalid(
            secret, "has a uri that can't be read: write postgresql://user:password@host:5432/dbname"
        ) from None
    for key in sorted(parts.keys() - _PARTS - _PASSED_ON - _OURS):
        if key == "sslrootcert" and parts[key] == "system":
            continue
        raise _invalid(
            secret, f"has a uri with the parameter {key}, which is not supported: remove it (a CA goes to key ca)"
        )
    if "user" in parts:
        parts["username"] = parts.pop("user")
    return parts


def _from_keys(values: Mapping[str, str]) -> dict[str, str]:
    parts = {key: values[key] for key in ("host", "port", "dbname", "password") if key in values}
    parts["username"] = values.get("username") or values.get("user") or ""
    return parts


def _port(text: str, secret: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise _invalid(secret, f"has port {text!r}: give a number from 1 to 65535")
    return int(text)


def _qualified(host: str, namespace: str) -> str:
    if not namespace or host == "localhost" or any(mark in host for mark in ".:/,"):
        return host
    return f"{host}.{namespace}.svc"
