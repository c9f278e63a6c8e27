"""B8, DATA §7: what a catalog holds that no RagTenant claims is told and counted at the next connection, and kept."""

from __future__ import annotations

import json
import subprocess
import sys

import psycopg
import pytest

from tests.support.looks import looks
from tests.support.operator import HANDBOOK, OperatorProcess, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
NOBODY = "0123456789ab"
"""An incarnation that no row has."""
LEFT_SCHEMA = f"rag_gone_{NOBODY[:10]}"


def test_orphans_are_told_once_and_counted_apart_from_what_is_retained(here: World, database: str) -> None:
    first = _with_three_tenants(here, database)
    here.kubectl("delete", "ragtenant", "kept", "--timeout=180s")
    eventually(lambda: _gauges(first).get("retained") == 1, "what is kept by policy is counted")
    assert _gauges(first) == {"tenant": 0, "schema": 0, "role": 0, "retained": 1}
    first.stop()

    incarnation = _past_its_finalizer(here, database, "acme")
    _left_by_hand(database)
    stands = _stands(database)
    second = here.operator(resync_seconds="2")
    eventually(lambda: _told(here), "an Event tells of it")
    (said,) = _told(here)
    assert f"tenant {here.namespace}/acme ({incarnation}, Active)" in said
    assert f"schema {LEFT_SCHEMA}" in said
    assert f"_{NOBODY}_read" in said
    assert "kept" not in said.split("it is kept: ")[1]
    assert "used" not in said
    found = {"tenant": 1, "schema": 1, "role": 1, "retained": 1}
    assert _gauges(second) == found

    looks(second)
    assert _told(here) == [said]
    assert _gauges(second) == found
    assert _listed(second) == {
        ("orphan", "tenant", f"{here.namespace}/acme", incarnation, "Active"),
        ("retained", "tenant", f"{here.namespace}/kept"),
        ("orphan", "schema", LEFT_SCHEMA),
        ("orphan", "role"),
    }
    assert _stands(database) == stands

    here.apply(tenant("acme", suspend=True))
    here.kubectl("annotate", "ragtenant", "acme", f"rag-operator.dev/adopt-retained={incarnation}")
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    eventually(lambda: _gauges(second).get("tenant") == 0, "it is claimed")
    assert _stands(database) == stands


def _with_three_tenants(here: World, dsn: str) -> OperatorProcess:
    first = here.operator(resync_seconds="2")
    here.apply(*(tenant(name, suspend=True) for name in ("acme", "kept", "used")))
    here.apply(pipeline(), HANDBOOK, here.database_secret(dsn))
    for name in ("acme", "kept", "used"):
        here.wait_condition("ragtenant", name, "DatabaseReady", "AsExpected")
    return first


def _past_its_finalizer(here: World, dsn: str, name: str) -> str:
    """The tenant goes while nobody looks; its incarnation."""
    schema = (here.get("ragtenant", name) or {})["status"]["schema"]
    here.kubectl("patch", "ragtenant", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    here.kubectl("delete", "ragtenant", name, "--timeout=180s")
    (found,) = [incarnation for incarnation, of in _rows(dsn) if of == schema]
    return found


def _catalog(admin: psycopg.Connection[tuple[str, ...]]) -> str:
    (row,) = admin.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^rag_[0-9a-f]{12}$'").fetchall()
    return row[0]


def _rows(dsn: str) -> list[tuple[str, ...]]:
    with psycopg.connect(dsn) as admin:
        catalog = _catalog(admin)
        admin.execute(f"SET ROLE {catalog}_owner")
        return admin.execute(f"SELECT id::text, schema FROM {catalog}.tenant ORDER BY 1").fetchall()


def _left_by_hand(dsn: str) -> None:
    """A schema of the catalog's owner and a role with its mark, as a restore of half a backup leaves them."""
    with psycopg.connect(dsn, autocommit=True) as admin:
        catalog = _catalog(admin)
        mark = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s"
        (said,) = admin.execute(mark, [f"{catalog}_owner"]).fetchall()
        admin.execute(f"CREATE SCHEMA {LEFT_SCHEMA} AUTHORIZATION {catalog}_owner")
        admin.execute(f"CREATE ROLE {catalog}_{NOBODY}_read NOLOGIN")
        admin.execute(f"COMMENT ON ROLE {catalog}_{NOBODY}_read IS '{said[0]}'")


def _stands(dsn: str) -> list[tuple[str, ...]]:
    """All schemas, roles and tenants."""
    with psycopg.connect(dsn) as admin:
        names = admin.execute(
            "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'rag\\_%' ORDER BY 1"
        ).fetchall()
        like = f"{_catalog(admin)}%"
        roles = admin.execute("SELECT rolname::text FROM pg_roles WHERE rolname LIKE %s ORDER BY 1", [like]).fetchall()
    return [*names, *roles, *_rows(dsn)]


def _told(here: World) -> list[str]:
    events = json.loads(here.kubectl("get", "events", "--field-selector=reason=OrphansFound", "-o", "json"))["items"]
    assert {event["involvedObject"]["kind"] for event in events} <= {"RagPipeline"}
    return [event["message"] for event in events]


def _listed(replica: OperatorProcess) -> set[tuple[str, ...]]:
    """What the command says, without random ids but the orphan's."""
    command = [sys.executable, "-m", "rag_operator", "orphans"]
    done = subprocess.run(command, env=replica.environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    words = [line.split("\t") for line in done.stdout.splitlines()]
    assert {line[0].split("/")[1] for line in words} == {"support"}
    kept = {"retained": 4, "role": 3}
    return {tuple(line[1 : kept.get(line[1], kept.get(line[2], len(line)))]) for line in words}


def _gauges(replica: OperatorProcess) -> dict[str, float]:
    """Orphans by what they are, and what is retained."""
    told = replica.scrape()
    orphans = {one.labels["what"]: one.value for one in told.series("rag_operator_orphans")}
    retained = told.of("rag_operator_retained_tenants")
    return orphans | ({"retained": retained} if told.series("rag_operator_retained_tenants") else {})
