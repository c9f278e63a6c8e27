"""A13: the file of certificates that libpq is given, by the operator and by the runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_operator.stores.address import parse_secret
from rag_operator.stores.pool import Limits, connection_arguments
from rag_runtime.trust import server_trust

PARTS = {"host": b"db.example", "dbname": b"rag", "username": b"u", "password": b"p"}


def _operators(**more: bytes) -> str | None:
    return connection_arguments(parse_secret(PARTS | more), "test", Limits()).get("sslrootcert")


def test_the_public_authorities_are_a_file_with_certificates(tmp_path: Path) -> None:
    for trusted in (_operators(sslmode=b"verify-full"), server_trust(tmp_path, "verify-full")["sslrootcert"]):
        assert trusted is not None
        assert "BEGIN CERTIFICATE" in Path(trusted).read_text(), "libpq's own folder is that of the wheel's builder"


def test_the_authority_that_is_given_goes_before_them(tmp_path: Path) -> None:
    trusted = _operators(ca=b"-----BEGIN CERTIFICATE-----")
    assert trusted is not None
    assert Path(trusted).read_text() == "-----BEGIN CERTIFICATE-----"
    (tmp_path / "ca").write_text("x")
    assert server_trust(tmp_path, "verify-full") == {"sslrootcert": str(tmp_path / "ca")}


@pytest.mark.parametrize("sslmode", ["prefer", "require", "disable"])
def test_where_nothing_is_verified_nobody_needs_certificates(sslmode: str, tmp_path: Path) -> None:
    assert _operators(sslmode=sslmode.encode()) is None
    assert server_trust(tmp_path, sslmode) == {}
