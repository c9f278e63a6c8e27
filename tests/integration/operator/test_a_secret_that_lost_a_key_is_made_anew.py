"""A6: whoever takes a key out of a Secret of ours, or its value, breaks nothing for longer than a look."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import psycopg
import pytest

from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
OF_THE_CACHE = ("password", "redis.conf", "url")
OF_POSTGRES = ("dbname", "host", "password", "port", "sslmode", "username")
TRACE = "reconcile failed"
WITHOUT = (None, "", "ICAK")
"""Taken out, emptied, and nothing but white space."""


def _taken(here: World, name: str, key: str, left: str | None) -> None:
    here.kubectl("patch", "secret", name, "--type=merge", "-p", json.dumps({"data": {key: left}}))


def _anew(here: World, name: str, former: dict[str, str]) -> dict[str, str]:
    """The Secret's data once it has all keys of the former and another password."""

    def look() -> dict[str, str] | None:
        held = here.secret(name)
        whole = held.keys() == former.keys() and all(value.strip() for value in held.values())
        return held if whole and held["password"] != former["password"] else None

    found = eventually(look, f"Secret {name} is whole and new")
    assert found is not None
    return found


def _rolled(here: World, kind: str, name: str) -> bool:
    """Whether the pods' template has the Secret's present version."""
    secret, child = here.get("secret", name) or {}, here.get(kind, name) or {}
    version = f"{name}={secret['metadata']['uid']}/{secret['metadata']['resourceVersion']}"
    return version in child["spec"]["template"]["metadata"]["annotations"].values()


def _hashes(dsn: str) -> list[str]:
    """The API keys that the catalog's only tenant is asked with."""
    with psycopg.connect(dsn) as admin:
        (name,) = admin.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^rag_[0-9a-f]{12}$'").fetchall()
        admin.execute(f"SET ROLE {name[0]}_owner")
        (row,) = admin.execute(f"SELECT api_keys FROM {name[0]}.tenant").fetchall()
    return list(row[0])


@pytest.mark.parametrize("key", OF_THE_CACHE)
def test_the_cache_gets_a_new_password_everywhere(here: World, database: str, key: str) -> None:
    here.operator(resync_seconds="2")
    here.apply(pipeline(), here.database_secret(database))
    eventually(lambda: here.has("secret/support-cache", "deployment/support-query"), "the cache's Secret is in use")
    for left in WITHOUT:
        former = here.secret("support-cache")
        assert sorted(former) == sorted(OF_THE_CACHE)
        _taken(here, "support-cache", key, left)
        held = _anew(here, "support-cache", former)
        assert held["password"] in held["url"], "they fit together"
        assert held["password"] in held["redis.conf"]
    eventually(lambda: _rolled(here, "deployment", "support-cache"), "Redis is started with it")
    assert TRACE not in here.logs()


@pytest.mark.parametrize("key", OF_POSTGRES)
def test_the_managed_database_gets_a_new_password_and_all_that_leads_to_it(here: World, key: str) -> None:
    here.operator(resync_seconds="2")
    managed: dict[str, Any] = {"database": {"managed": {}}}
    here.apply(pipeline(**managed))
    eventually(lambda: here.get("statefulset", "support-postgres"), "the managed database")
    for left in WITHOUT:
        former = here.secret("support-postgres")
        assert sorted(former) == sorted(OF_POSTGRES)
        _taken(here, "support-postgres", key, left)
        held = _anew(here, "support-postgres", former)
        assert {k: v for k, v in held.items() if k != "password"}.items() <= former.items()
    eventually(lambda: _rolled(here, "statefulset", "support-postgres"), "Postgres is started with it")
    assert TRACE not in here.logs()


def test_a_tenant_gets_a_new_api_key_that_the_catalog_knows(here: World, database: str) -> None:
    here.operator(resync_seconds="2")
    here.apply(pipeline(), tenant(suspend=True), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "Ready", "Suspended")
    for left in WITHOUT:
        former = here.secret("acme-api-key")["api-key"]
        _taken(here, "acme-api-key", "api-key", left)
        key = eventually(lambda: here.secret("acme-api-key").get("api-key", "").strip(), "there is a key")
        assert key != former
        wanted = hashlib.sha256(key.encode()).hexdigest()
        eventually(lambda wanted=wanted: _hashes(database) == [wanted], "it is the one that is accepted")  # type: ignore[misc]
    assert TRACE not in here.logs()


def test_what_somebody_adds_to_a_secret_of_ours_stays(here: World, database: str) -> None:
    here.operator(resync_seconds="2")
    here.apply(pipeline(), here.database_secret(database))
    eventually(lambda: here.has("secret/support-cache"), "the cache's Secret")
    _taken(here, "support-cache", "theirs", "a2VwdA==")
    former = here.secret("support-cache")
    _taken(here, "support-cache", "url", None)
    assert _anew(here, "support-cache", former)["theirs"] == "kept"
