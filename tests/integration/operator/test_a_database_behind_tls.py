"""A13: Postgres over TLS with `verify-full`: whom the operator, query pods and ingestion trust, and whom not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rag_runtime.contract.config import Database
from rag_runtime.ingest.store import conninfo
from rag_runtime.retrieve.credentials import connection_settings, query_shards
from tests.cluster.certificates import Authority
from tests.support import postgres
from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant
from tests.support.tls_postgres import behind_tls

pytestmark = pytest.mark.integration


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Of a company; it has signed the database, and one of another name."""
    made = Authority(tmp_path / "pki")
    made.create()
    made.sign("database", "database", hosts=["127.0.0.1"])
    made.sign("other", "other", hosts=["other.example"])
    return made


@pytest.fixture
def front(postgres_server: postgres.Server, authority: Authority) -> Iterator[int]:
    """The database's port, for those who speak TLS."""
    with behind_tls(postgres_server.port, authority, "database") as port:
        yield port


def _secret(here: World, dsn: str, port: int, **more: str) -> dict[str, Any]:
    secret = here.database_secret(dsn)
    secret["stringData"] |= {"port": str(port)} | more
    return secret


def _reads(here: World, folder: Path, secret: str) -> Database:
    """The folder that pods have of a Secret."""
    folder.mkdir()
    for name, value in here.secret(secret).items():
        (folder / name).write_text(value)
    return Database.model_validate({"credentials": str(folder), "schema": "unused"})


def _encrypted(connection: psycopg.Connection[Any]) -> bool:
    return bool(connection.pgconn.ssl_in_use)


def _all_connect(here: World, tmp_path: Path) -> None:
    """Query pods and ingestion reach the database by what the operator has given them, and encrypted."""
    serve = _reads(here, tmp_path / "serve", "support-query-db")
    (shard,) = query_shards(serve)
    with psycopg.connect(**connection_settings(serve, shard)) as asking:  # type: ignore[arg-type]
        assert _encrypted(asking)
    with psycopg.connect(conninfo(_reads(here, tmp_path / "ingest", "acme-ingest-db"))) as writing:
        assert _encrypted(writing)


def test_the_authority_beside_the_address_is_trusted(
    here: World, database: str, front: int, authority: Authority, tmp_path: Path
) -> None:
    here.operator()
    given = {"ca": authority.crt("ca").read_text()}
    here.apply(pipeline(), tenant(), HANDBOOK, _secret(here, database, front, **given))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    _all_connect(here, tmp_path)


def test_the_public_authorities_are_trusted_where_none_is_given(
    here: World, database: str, front: int, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.crt("ca")))
    here.operator()
    here.apply(pipeline(), tenant(), HANDBOOK, _secret(here, database, front, sslmode="verify-full"))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    _all_connect(here, tmp_path)


def test_who_is_not_trusted_is_told_the_mend_and_it_heals(
    here: World, database: str, front: int, authority: Authority
) -> None:
    here.operator(resync_seconds="3")
    here.apply(pipeline(), _secret(here, database, front, sslmode="verify-full"))
    said = here.wait_condition("ragpipeline", "support", "DatabaseReady", "DatabaseUnreachable")
    assert "certificate verify failed" in said["message"]
    assert "give its authority's PEM certificates under the key ca" in said["message"]
    here.apply(_secret(here, database, front, ca=authority.crt("ca").read_text()))
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected", 180)


def test_another_servers_certificate_is_refused(
    here: World, database: str, authority: Authority, postgres_server: postgres.Server
) -> None:
    here.operator(resync_seconds="3")
    with behind_tls(postgres_server.port, authority, "other") as port:
        here.apply(pipeline(), _secret(here, database, port, ca=authority.crt("ca").read_text()))

        def told() -> bool:
            message = here.condition("ragpipeline", "support", "DatabaseReady").get("message", "")
            return "other.example" in message and "under host the name that its certificate has" in message

        eventually(told, "the names differ", 40)
