"""SCRAM-SHA-256 verifiers, computed here so that no clear text is in a statement, and in no log of the server.

Format and arithmetic: RFC 5802 §3 and RFC 7677, as Postgres stores them in pg_authid. libpq makes the same ones at four
times the CPU.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64encode

ROUNDS = 4096
"""Postgres' own `scram_iterations`."""
SALT_BYTES = 16


def verifier(password: str) -> str:
    """The verifier of a password in ASCII, with a salt of its own."""
    return salted_verifier(password, secrets.token_bytes(SALT_BYTES))


def salted_verifier(password: str, salt: bytes, rounds: int = ROUNDS) -> str:
    """`SCRAM-SHA-256$ROUNDS:SALT$STORED-KEY:SERVER-KEY`. ValueError for what SASLprep may change."""
    if not (password.isascii() and password.isprintable()):
        raise ValueError("a password for Postgres is printable ASCII")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${rounds}:{_text(salt)}${_text(stored_key)}:{_text(server_key)}"


def _text(data: bytes) -> str:
    return b64encode(data).decode()
