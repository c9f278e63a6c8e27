"""DATA §2: a parser exploit in one tenant's Job gains neither another tenant's text nor anything that runs code."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from rag_runtime.ingest.store import conninfo
from tests.integration.ingest.harness import Desk, make_desk
from tests.support.catalog import TestCatalog

DENIED = "42501"


@pytest.fixture
async def two(catalog: TestCatalog, tmp_path: Path) -> tuple[Desk, Desk]:
    """Two tenants of one pipeline, each with a serving revision and a dead letter."""
    desks = make_desk(catalog, tmp_path, "ours"), make_desk(catalog, tmp_path, "theirs")
    for desk in desks:
        desk.write(page="a secret", bad="")
        await desk.run()
        desk.promote()
    return desks


STATEMENTS = {
    "create a table in its schema": "CREATE TABLE {s}.x (a int)",
    "create a schema": "CREATE SCHEMA x",
    "create a temporary table": "CREATE TEMP TABLE x (a int)",
    "create a function": "CREATE FUNCTION {s}.x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "create a function in public": "CREATE FUNCTION public.x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "alter a chunk table": "ALTER TABLE {s}.chunk_r1 ADD x int",
    "add a trigger": "CREATE TRIGGER x BEFORE INSERT ON {s}.document EXECUTE FUNCTION tsvector_update_trigger()",
    "add a policy": "CREATE POLICY x ON {s}.document USING (true)",
    "replace a view": "CREATE OR REPLACE VIEW {s}.chunk_r1_v AS SELECT 1",
    "drop a table": "DROP TABLE {s}.chunk_r1",
    "truncate": "TRUNCATE {s}.document",
    "delete documents": "DELETE FROM {s}.document",
    "move its revision's state": "UPDATE {s}.revision SET state = 'Active'",
    "move its lease": "UPDATE {s}.run SET epoch = 99",
    "move the pointer": "UPDATE {c}.pointer SET active = 1",
    "read the pointers": "SELECT * FROM {c}.pointer",
    "read the tenants": "SELECT * FROM {c}.tenant",
    "bump another's version": "SELECT {c}.bump('00000000-0000-0000-0000-000000000000')",
    "call the helpers": "SELECT {c}.remove_chunks('{t}', 1, '{{1}}')",
    "lex another's chunks": "SELECT {c}.lex('{t}', 1, NULL)",
    "read another's documents": "SELECT * FROM {t}.document",
    "read another's chunks": "SELECT * FROM {t}.chunk_r1",
    "read another's view": "SELECT * FROM {t}.chunk_r1_v",
    "become the owner": "SET ROLE {o}",
    "become another's reader": "SET ROLE {r}",
    "run a program": "COPY {s}.document TO PROGRAM 'cat'",
    "read a file": "COPY {s}.document (path) FROM '/etc/passwd'",
}


async def test_it_may_not(two: tuple[Desk, Desk]) -> None:
    ours, theirs = two
    names = ours.catalog.names
    allowed = []
    with psycopg.connect(conninfo(ours.database), autocommit=True) as login:
        for what, statement in STATEMENTS.items():
            filled = statement.format(
                s=ours.tenant.schema, t=theirs.tenant.schema, c=names.schema, o=names.owner, r=theirs.tenant.reader
            )
            try:
                login.execute(filled)
                allowed.append(what)
            except psycopg.Error as refusal:
                assert refusal.sqlstate == DENIED, f"{what}: {refusal}"
    assert allowed == []


async def test_it_sees_its_own_dead_letters_only(two: tuple[Desk, Desk]) -> None:
    ours, theirs = two
    schema = ours.catalog.names.schema
    with psycopg.connect(conninfo(ours.database), autocommit=True) as login:
        rows = login.execute(f"SELECT tenant FROM {schema}.dead_letter").fetchall()
        assert rows == [(ours.tenant.incarnation,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            login.execute(
                f"INSERT INTO {schema}.dead_letter (tenant, source, path, step, reason, message)"
                " VALUES (%s, 's', 'p', 'Sync', 'r', 'm')",
                [theirs.tenant.incarnation],
            )
        login.execute(f"DELETE FROM {schema}.dead_letter")
    assert theirs.letters() == {"bad.md": "Empty"}


async def test_its_functions_know_the_tenant_by_the_login(two: tuple[Desk, Desk]) -> None:
    """No argument names a tenant: with a stolen epoch of the other one it still only reaches its own rows."""
    ours, theirs = two
    before = theirs.rows("SELECT path, deleted FROM {s}.document"), theirs.chunks(), theirs.version()
    with psycopg.connect(conninfo(ours.database), autocommit=True) as login:
        c = ours.catalog.names.schema
        row = login.execute(f"SELECT epoch FROM {c}.take('Sync', 0, 0, 'thief', '1 min')").fetchone()
        assert row is not None
        login.execute(f"SELECT {c}.tombstone(%s, ARRAY (SELECT id FROM {ours.tenant.schema}.document))", [row[0]])
    assert ours.chunks() == []
    assert (theirs.rows("SELECT path, deleted FROM {s}.document"), theirs.chunks(), theirs.version()) == before
