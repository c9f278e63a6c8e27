"""All forms of a database Secret, and the sentence for each that can't be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_operator.api.conditions import Reason
from rag_operator.stores.address import DatabaseAddress, StoreProblem, parse_secret

PARTS = {"host": b"db.example", "port": b"6432", "dbname": b"rag", "username": b"app", "password": b"s3cret"}
EXPECTED = DatabaseAddress("db.example", 6432, "rag", "app", "s3cret")


def test_parts_and_uri_say_the_same() -> None:
    assert parse_secret(PARTS) == EXPECTED
    assert parse_secret({"uri": b"postgresql://app:s3cret@db.example:6432/rag"}) == EXPECTED
    assert parse_secret({"uri": b"host=db.example port=6432 dbname=rag user=app password=s3cret\n"}) == EXPECTED


def test_the_secret_of_cloudnativepg() -> None:
    made = {
        "dbname": b"app",
        "host": b"support-db-rw",
        "jdbc-uri": b"jdbc:postgresql://support-db-rw.rag:5432/app?password=s3cret&user=app",
        "password": b"s3cret",
        "pgpass": b"support-db-rw:5432:app:app:s3cret",
        "port": b"5432",
        "uri": b"postgresql://app:s3cret@support-db-rw.rag:5432/app",
        "user": b"app",
        "username": b"app",
    }
    assert parse_secret(made) == DatabaseAddress("support-db-rw.rag", 5432, "app", "app", "s3cret")
    without_uri = {key: value for key, value in made.items() if key not in ("uri", "username")}
    assert parse_secret(without_uri, "support-db-app", "rag").host == "support-db-rw.rag.svc"


def test_a_host_of_one_word_is_a_service_beside_the_secret() -> None:
    assert parse_secret(PARTS | {"host": b"db"}, namespace="rag").host == "db.rag.svc"
    for host in ("localhost", "db.example", "10.0.0.1", "::1", "/run/postgresql"):
        assert parse_secret(PARTS | {"host": host.encode()}, namespace="rag").host == host
    assert parse_secret(PARTS | {"host": b"db"}).host == "db"


def test_tls() -> None:
    assert parse_secret(PARTS).sslmode == "prefer"
    with_ca = parse_secret(PARTS | {"ca": b"-----BEGIN CERTIFICATE-----"})
    assert (with_ca.sslmode, with_ca.ca) == ("verify-full", "-----BEGIN CERTIFICATE-----")
    assert parse_secret(PARTS | {"ca.crt": b"x", "sslmode": b"verify-ca"}).sslmode == "verify-ca"
    assert parse_secret({"uri": b"postgresql://a:b@h.x/d?sslmode=require"}).sslmode == "require"


def test_parameters_of_a_uri_are_passed_on_or_refused_but_never_dropped_in_silence() -> None:
    uri = "postgresql://a:b@h.x/d?target_session_attrs=read-write&connect_timeout=3&application_name=theirs"
    assert parse_secret({"uri": uri.encode()}).extra == (("target_session_attrs", "read-write"),)
    for parameter in ("sslrootcert=/etc/ca.pem", "passfile=/run/secrets/x", "options=-csearch_path%3Dx", "service=x"):
        with pytest.raises(StoreProblem, match=parameter.split("=", maxsplit=1)[0]):
            parse_secret({"uri": f"postgresql://a:b@h.x/d?{parameter}".encode()})


@pytest.mark.parametrize("key", ["host", "dbname", "username", "password"])
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(StoreProblem) as invalid:
        parse_secret({name: value for name, value in PARTS.items() if name != key}, "support-db-app")
    assert invalid.value.reason is Reason.SECRET_INVALID
    assert str(invalid.value).startswith(f"Secret support-db-app lacks the key {key}: give uri, or host, port")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": b"many"}, "port 'many'"),
        ({"port": b"70000"}, "port '70000'"),
        ({"sslmode": b"maybe"}, "sslmode 'maybe'"),
        ({"sslmode": b"verify-ca"}, "lacks the key ca"),
        ({"password": b"\xff\xfe"}, "key password that is no UTF-8"),
        ({"uri": b"postgresql://app:s3cret@[broken/rag"}, "uri that can't be read"),
    ],
)
def test_what_cannot_be_read_is_said_without_the_password(change: dict[str, bytes], said: str) -> None:
    with pytest.raises(StoreProblem, match=said.replace("[", r"\[")) as invalid:
        parse_secret(PARTS | change)
    assert "s3cret" not in str(invalid.value)


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=8).filter(lambda t: t == t.strip())
)
def test_no_password_shows_in_a_repr(password: str) -> None:
    address = parse_secret(PARTS | {"password": password.encode()})
    assert address.password == password
    assert repr(address) == repr(EXPECTED)


def test_a_new_password_is_a_new_address_and_the_secrets_name_is_not() -> None:
    assert parse_secret(PARTS, "one") == parse_secret(PARTS, "two")
    assert parse_secret(PARTS | {"password": b"another"}) != EXPECTED
    assert parse_secret(PARTS, "one").source == "Secret one"
