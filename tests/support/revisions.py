"""Revisions that are built without an ingestion's pod, and pods that are said to serve them."""

from __future__ import annotations

from typing import Any

import psycopg
import yaml

from rag_runtime.contract.config import IndexShape, IngestConfig
from tests.support.catalog import CATALOGS
from tests.support.operator import World, eventually

LEASE = """
INSERT INTO {}.reader_lease (pod, applied, pinned, expires_at) VALUES (%s, 1000, 1000, now() + interval '1 hour')
"""


def _shape(here: World, name: str, size: int) -> tuple[IndexShape, str] | None:
    """What the tenant's Job would build, and the catalog's schema, once that is in chunks of so many tokens."""
    cron = here.get("cronjob", f"{name}-ingest")
    if cron is None:
        return None
    volumes = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"]
    config_map = here.get("configmap", next(v["configMap"]["name"] for v in volumes if v["name"] == "config"))
    if config_map is None:
        return None
    (text,) = config_map["data"].values()
    config = IngestConfig.model_validate(yaml.safe_load(text))
    return (config.shape, config.database.schema_) if config.shape.chunking.size == size else None


def build_revision(here: World, name: str, size: int) -> None:
    """An empty revision of chunks of that size, made by the tenant's own login as its Job does."""
    asked = eventually(lambda: _shape(here, name, size), f"the configuration asks for {size}")
    assert asked
    wanted, c = asked
    login = eventually(lambda: here.secret(f"{name}-ingest-db"), "the login")
    place = f"host={login['host']} port={login['port']} dbname={login['dbname']}"
    with psycopg.connect(
        place, user=login["ingest.username"], password=login["ingest.password"], autocommit=True
    ) as session:

        def call(query: str, *params: object) -> Any:
            row = session.execute(query.format(c=c), params).fetchone()
            return row[0] if row else None

        number = call("SELECT {c}.create_revision(%s::jsonb, %s)", wanted.canonical(), wanted.spec_hash)
        epoch = call("SELECT epoch FROM {c}.take('Index', %s, 0, 'test', '1 min')", number)
        call("SELECT {c}.build_index(%s)", number)
        call("SELECT {c}.finish(%s, %s)", number, epoch)


def pods_serve(database: str, *pods: str) -> None:
    """What query pods of these names would say in every catalog of the database, and no other pods."""
    with psycopg.connect(database) as admin:
        for (catalog,) in admin.execute(CATALOGS).fetchall():
            admin.execute(f"SET LOCAL ROLE {catalog}_owner".encode())
            admin.execute(f"DELETE FROM {catalog}.reader_lease".encode())
            for pod in pods:
                admin.execute(LEASE.format(catalog).encode(), [pod])
            admin.execute("RESET ROLE")
