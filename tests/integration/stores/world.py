"""A catalog made by the operator's own code, and an ingestion as its Jobs do it, for tests of the stores."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict

from rag_operator.stores.address import DatabaseAddress
from rag_operator.stores.catalog import CatalogRequest, ensure_catalog
from rag_operator.stores.database import Databases
from rag_operator.stores.query_logins import ensure_query_logins
from rag_operator.stores.tenant_rows import glance
from rag_operator.stores.tenants import TenantRequest, TenantRow, ensure_tenant, read_tenant
from rag_operator.stores.transaction import Transaction
from rag_runtime.contract.config import EmbeddingProfile, IndexShape
from rag_runtime.contract.names import CatalogNames
from tests.support.postgres import Server

QUERY_PASSWORD = "query-login-password"
INGEST_PASSWORD = "ingestion-login-password"
Row = tuple[Any, ...]
Crash = Callable[[int | None], None]
"""Lets the operator's connection break, hard, after so many statements; None: no more."""


class CrashError(Exception):
    """The operator dies here."""


def address_of(dsn: str) -> DatabaseAddress:
    """The address that a connection string names."""
    parts = conninfo_to_dict(dsn)
    return DatabaseAddress(
        str(parts["host"]), int(str(parts["port"])), str(parts["dbname"]), str(parts["user"]), str(parts["password"])
    )


def request_for(name: str, **changes: Any) -> TenantRequest:
    """What a RagTenant of that name asks for."""
    values: dict[str, Any] = {
        "namespace": "rag",
        "name": name,
        "uid": f"uid-of-{name}",
        "incarnation": uuid4(),
        "password": INGEST_PASSWORD,
        "credential_version": "1",
        "api_key_hashes": (f"hash-of-{name}",),
        "config": {"topK": 6},
    }
    return TenantRequest(**(values | changes))


async def read_tenants(tx: Transaction) -> list[TenantRow]:
    """All tenants of the catalog, by namespace and name."""
    found = [await read_tenant(tx, one.namespace, one.name) for one in sorted(await glance(tx))]
    return [row for row in found if row is not None]


def catalog_request(**changes: Any) -> CatalogRequest:
    """What a pipeline asks for that was just created."""
    values: dict[str, Any] = {
        "pipeline": "rag/support",
        "pipeline_uid": "uid-1",
        "expected": None,
        "adopt": None,
        "fresh": uuid4(),
    }
    return CatalogRequest(**(values | changes))


@dataclass(slots=True)
class World:
    """A database with one catalog that this operator leads, and query login 0."""

    server: Server
    databases: Databases
    address: DatabaseAddress
    catalog: CatalogNames
    epoch: int

    def tx(self, epoch: int | None = None, deadline: float = 15) -> AbstractAsyncContextManager[Transaction]:
        """A transaction in the catalog."""
        return self.databases.transaction(self.address, self.catalog, epoch or self.epoch, deadline)

    async def add(self, name: str, **changes: Any) -> TenantRow:
        """A tenant."""
        async with self.tx() as tx:
            return await ensure_tenant(tx, request_for(name, **changes))

    def connect(self, role: str = "postgres", password: str = "rag-admin-password") -> psycopg.Connection[Row]:
        """A connection past the code under test."""
        return psycopg.connect(self.server.dsn(role, self.address.dbname, password), autocommit=True)

    def value(self, query: str, *params: object) -> Any:
        """The first column of the first row, as superuser."""
        with self.connect() as admin:
            row = admin.execute(query, params).fetchone()
        return row[0] if row else None

    def run(self, *statements: str) -> None:
        """Run statements as superuser."""
        with self.connect() as admin:
            for statement in statements:
                admin.execute(statement)

    def lease(self, pod: str, pinned: int, seconds: int = 30) -> None:
        """A query pod's lease."""
        c = self.catalog.schema
        with self.connect(self.catalog.query_login(0), QUERY_PASSWORD) as pod_session:
            pod_session.execute(
                f"INSERT INTO {c}.reader_lease (pod, applied, pinned, expires_at)"
                " VALUES (%s, %s, %s, now() + %s * interval '1 s')"
                " ON CONFLICT (pod) DO UPDATE SET pinned = excluded.pinned, expires_at = excluded.expires_at",
                [pod, pinned, pinned, seconds],
            )


async def new_world(server: Server, databases: Databases, dsn: str) -> World:
    """A catalog with everything that a tenant needs."""
    address = address_of(dsn)
    catalog = await ensure_catalog(databases, address, catalog_request())
    world = World(server, databases, address, catalog, await databases.take_leadership(address, catalog))
    async with world.tx() as tx:
        await ensure_query_logins(tx, {0: QUERY_PASSWORD}, "1")
    return world


@dataclass(slots=True)
class Ingestion:
    """A tenant's ingestion login, doing what its Jobs do, one step a call."""

    world: World
    tenant: TenantRow
    session: psycopg.Connection[Row] = field(init=False)
    fence: int = 0
    runs: dict[int, int] = field(default_factory=dict)
    marks: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.session = self.world.connect(self.tenant.ingestion, INGEST_PASSWORD)

    def __enter__(self) -> Ingestion:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def call(self, query: str, *params: object) -> Any:
        """The first column of what a statement gives; `{c}` and `{s}` are the two schemas."""
        named = query.format(c=self.world.catalog.schema, s=self.tenant.schema)
        row = self.session.execute(named, params).fetchone()
        return row[0] if row else None

    def sync(self, *paths: str) -> list[int]:
        """New documents, in one batch; returns their ids."""
        if not self.fence:
            self.fence = self.call("SELECT epoch FROM {c}.take('Sync', 0, 0, 'sync', '1 min')")
        with self.session.transaction():
            last = self.call("SELECT {c}.draw(%s, %s)", len(paths), self.fence)
            return [
                self.call(
                    "INSERT INTO {s}.document"
                    " (source, path, seq, content_hash, extractor, media_type, uri, title, text, acl)"
                    " VALUES ('docs', %s, %s, 'h', 'e', 'm', 'u', 't', %s, '{{*}}') RETURNING id",
                    path,
                    last - len(paths) + 1 + i,
                    f"text of {path}",
                )
                for i, path in enumerate(paths)
            ]

    def delete(self, *ids: int) -> None:
        """Tombstones."""
        with self.session.transaction():
            self.call("SELECT {c}.tombstone(%s, %s)", self.fence, list(ids))

    def revision(self, model: str = "m") -> int:
        """A revision of that embedding model, with a lease on it."""
        shape = IndexShape(profile=EmbeddingProfile(model=model, dimensions=3))
        number = int(self.call("SELECT {c}.create_revision(%s::jsonb, %s)", shape.canonical(), shape.spec_hash))
        if number not in self.runs:
            self.runs[number] = self.call("SELECT epoch FROM {c}.take('Index', %s, 0, 'index', '1 min')", number)
            self.marks[number] = 0
        return number

    def index(self, revision: int, upto: int | None = None) -> None:
        """One batch: all documents up to the clock's `upto`."""
        upto = upto or int(self.call("SELECT coalesce(max(seq), 0) FROM {s}.document"))
        with self.session.transaction():
            self.begin_index(revision, upto)

    def begin_index(self, revision: int, upto: int) -> None:
        """A batch's statements, within the caller's transaction."""
        epoch, since = self.runs[revision], self.marks[revision]
        self.call("SELECT {c}.begin_batch(%s, 0, %s)", revision, epoch)
        docs = self.session.execute(
            f"SELECT id, text FROM {self.tenant.schema}.document"
            " WHERE seq > %s AND seq <= %s AND NOT deleted ORDER BY id FOR SHARE",
            [since, upto],
        ).fetchall()
        self.call("SELECT {c}.replace_chunks(%s, %s)", revision, [doc[0] for doc in docs])
        for doc in docs:
            self.session.execute(
                f"INSERT INTO {self.tenant.schema}.chunk_r{revision}"
                " (document, ordinal, text, heading, title, uri, source, path, tokens, metadata, acl, embedding)"
                " VALUES (%s, 0, %s, '', 't', 'u', 'docs', 'p', 3, '{}', '{*}', '[1,0,0]')",
                doc,
            )
        self.call(
            "SELECT {c}.commit_batch(%s, 0, %s, %s, %s, %s)", revision, epoch, since, upto, [doc[0] for doc in docs]
        )
        self.marks[revision] = upto

    def finish(self, revision: int) -> None:
        """Build the indexes and report."""
        self.call("SELECT {c}.build_index(%s)", revision)
        self.call("SELECT {c}.finish(%s, %s)", revision, self.runs[revision])

    def build(self, model: str = "m") -> int:
        """A Ready revision that holds all documents."""
        number = self.revision(model)
        self.index(number)
        self.finish(number)
        return number


async def until_blocked(world: World, waiting: int = 1) -> None:
    """Return when so many sessions of the database wait for a lock."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    await until(lambda: world.value(waits) >= waiting)


async def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Return when it holds; TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  the other side is a server's state, it sends no event
            await asyncio.sleep(0.01)


async def writes_nothing(world: World, action: Callable[[], Awaitable[object]]) -> bool:
    """Whether `action` takes no transaction id: writes nothing, locks no row. Asked anew when autovacuum took one."""
    for _ in range(5):
        before = _next_xid(world)
        await action()
        if _next_xid(world) == before:
            return True
    return False


def _next_xid(world: World) -> int:
    return int(world.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"))


def read_as(world: World, reader: str, tenant: UUID, query: str) -> list[Row]:
    """A query as the query service sends it: role and settings for this one transaction."""
    with world.connect(world.catalog.query_login(0), QUERY_PASSWORD) as session, session.transaction():
        session.execute(f"SET LOCAL ROLE {reader}")
        session.execute(
            "SELECT set_config('rag.tenant', %s, true), set_config('rag.acl', %s, true)", [str(tenant), "{*}"]
        )
        return session.execute(query).fetchall()


def snapshot(world: World) -> str:
    """All that a catalog is made of, comparable between runs: roles, schemas, relations, rights, rows without times."""
    c = world.catalog.schema
    parts = [
        world.value(
            "SELECT jsonb_agg(jsonb_build_array(rolname, rolcanlogin, rolinherit, rolconnlimit,"
            " shobj_description(oid, 'pg_authid')) ORDER BY rolname) FROM pg_roles WHERE rolname ~ ('^' || %s)",
            c,
        ),
        world.value(
            "SELECT jsonb_agg(jsonb_build_array(n.nspname, n.nspacl::text, r.relname, r.relkind, r.relacl::text)"
            " ORDER BY n.nspname, r.relname) FROM pg_namespace n LEFT JOIN pg_class r ON r.relnamespace = n.oid"
            " WHERE pg_get_userbyid(n.nspowner) = %s",
            world.catalog.owner,
        ),
        world.value(
            "SELECT jsonb_agg(jsonb_build_array(m.roleid::regrole, m.member::regrole, m.inherit_option, m.set_option)"
            " ORDER BY m.roleid::regrole::text, m.member::regrole::text, m.grantor)"
            " FROM pg_auth_members m WHERE m.roleid::regrole::text ~ ('^' || %s)",
            c,
        ),
        world.value(f"SELECT jsonb_agg(to_jsonb(t) - 'changed_at' ORDER BY t.id) FROM {c}.tenant t"),
        world.value(f"SELECT jsonb_agg(to_jsonb(p) - 'token' - 'wal' ORDER BY p.tenant) FROM {c}.pointer p"),
        world.value(f"SELECT jsonb_agg(to_jsonb(q) ORDER BY q.shard) FROM {c}.query_login q"),
    ]
    return json.dumps(parts, indent=1, sort_keys=True)
