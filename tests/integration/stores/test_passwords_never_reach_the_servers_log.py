"""DATA §2: SCRAM verifiers are computed here, so that no clear text is in a log, whatever the server logs."""

from __future__ import annotations

import logging
import traceback

import psycopg
import pytest

from rag_operator.stores.errors import StoreTrouble
from rag_operator.stores.preflight import preflight
from rag_operator.stores.query_logins import ensure_query_logins
from rag_operator.stores.tenants import ensure_tenant
from tests.integration.stores.world import World, address_of, request_for
from tests.support.postgres import ADMIN, PASSWORD, SUPERUSER


async def test_no_clear_text_in_the_log_of_a_server_that_logs_every_statement(world: World) -> None:
    log = world.server.data.parent / "log"
    with psycopg.connect(world.server.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
        admin.execute(f"ALTER ROLE {ADMIN} SET log_statement = 'all'")
        admin.execute(f"ALTER ROLE {ADMIN} SET log_min_duration_statement = 0")
    await world.databases.close()
    try:
        async with world.tx() as tx:
            await ensure_query_logins(tx, {1: "clear-text-of-a-query-login"}, "1")
            row = await ensure_tenant(tx, request_for("acme", password="clear-text-of-ingestion"))
        async with world.tx() as tx:
            await ensure_tenant(tx, request_for("acme", password="clear-text-after-rotation", credential_version="2"))
    finally:
        with psycopg.connect(world.server.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
            admin.execute(f"ALTER ROLE {ADMIN} RESET ALL")
    world.connect(world.catalog.query_login(1), "clear-text-of-a-query-login").close()
    world.connect(row.ingestion, "clear-text-after-rotation").close()
    written = log.read_text()
    assert f'CREATE ROLE "{row.ingestion}"' in written, "the server did not log statements: this test shows nothing"
    assert "SCRAM-SHA-256$" in written
    assert "clear-text" not in written


async def test_no_password_in_errors_reprs_or_our_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    address = address_of(world.server.dsn("nobody_there", world.address.dbname))
    assert PASSWORD not in repr(address)
    assert "clear-text" not in repr(request_for("acme", password="clear-text"))
    with pytest.raises(StoreTrouble) as refused:
        await preflight(world.databases, address)
    assert PASSWORD not in "".join(traceback.format_exception(refused.value))
    assert PASSWORD not in caplog.text
