"""DATA §2: the verifier that Postgres stores, against the published exchange of RFC 7677 §3."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode

import pytest

from rag_operator.stores.scram import ROUNDS, salted_verifier, verifier

NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="
EXCHANGE = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={NONCE},s={SALT},i=4096,c=biws,r={NONCE}".encode()
PROOF = b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
SERVER_SIGNATURE = b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def test_it_proves_the_published_exchange() -> None:
    made = salted_verifier("pencil", b64decode(SALT))
    parts = re.fullmatch(r"SCRAM-SHA-256\$4096:(.+)\$(.+):(.+)", made)
    assert parts
    stored_key, server_key = b64decode(parts[2]), b64decode(parts[3])
    signature = hmac.digest(stored_key, EXCHANGE, "sha256")
    client_key = bytes(a ^ b for a, b in zip(PROOF, signature, strict=True))
    assert parts[1] == SALT
    assert hashlib.sha256(client_key).digest() == stored_key
    assert hmac.digest(server_key, EXCHANGE, "sha256") == SERVER_SIGNATURE


def test_each_has_a_salt_of_its_own_and_not_the_password() -> None:
    one, other = verifier("pencil"), verifier("pencil")
    assert one != other
    assert "pencil" not in one
    assert one.startswith(f"SCRAM-SHA-256${ROUNDS}:")


@pytest.mark.parametrize("password", ["pencil\n", "bleistift-ä", "soft\u00adhyphen"])
def test_what_would_have_to_be_normalized_is_refused(password: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        verifier(password)
