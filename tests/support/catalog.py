"""A catalog and tenants laid in a test database straight from the contract, for runtime tests that need no operator."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from uuid import UUID, uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict

from rag_runtime.contract.catalog import catalog_ddl, query_login_rights
from rag_runtime.contract.config import Database
from rag_runtime.contract.names import CatalogNames, TenantNames
from rag_runtime.contract.tenant import tenant_ddl

PASSWORD = "a-test-password"
CATALOGS = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^rag_[0-9a-f]{12}$' ORDER BY 1"
"""The schemas of all in a database."""


def api_key_of(name: str) -> str:
    """The API key of a test tenant; one in another namespace than `rag` is called namespace/name."""
    return f"rag_{name}_key"


@dataclass(frozen=True, slots=True)
class TestCatalog:
    """One catalog with query login 0, in the database of `dsn` (the admin's)."""

    __test__ = False
    dsn: str
    names: CatalogNames

    def credentials(self, folder: Path, **logins: str) -> Database:
        """Write credential files as a mounted Secret would have them; `logins` maps file stem (`_` for `-`) to role."""
        folder.mkdir(parents=True, exist_ok=True)
        parts = conninfo_to_dict(self.dsn)
        for name in ("host", "port", "dbname"):
            (folder / name).write_text(str(parts[name]))
        (folder / "sslmode").write_text("prefer")
        for stem, role in logins.items():
            (folder / f"{stem.replace('_', '-')}.username").write_text(role)
            (folder / f"{stem.replace('_', '-')}.password").write_text(PASSWORD)
        return Database(credentials=PurePosixPath(folder), schema_=self.names.schema)

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """The admin's connection, acting as the owner."""
        connection = psycopg.connect(self.dsn, autocommit=True)
        connection.execute(f"SET ROLE {self.names.owner}")
        return connection

    def add_tenant(self, name: str, namespace: str = "rag") -> TenantNames:
        """A tenant with schema, roles, pointer and one API key."""
        tenant = TenantNames(self.names, uuid4(), name)
        known_as = name if namespace == "rag" else f"{namespace}/{name}"
        with psycopg.connect(self.dsn) as admin:
            admin.execute(f"CREATE ROLE {tenant.ingestion} LOGIN PASSWORD '{PASSWORD}'")
            admin.execute(f"CREATE ROLE {tenant.reader} NOLOGIN ROLE {self.names.query_login(0)}")
            admin.execute(f"SET LOCAL ROLE {self.names.owner}")
            admin.execute(f"CREATE SCHEMA {tenant.schema}")
            admin.execute(tenant_ddl(tenant))
            admin.execute(
                f"INSERT INTO {self.names.schema}.tenant"
                " (id, namespace, name, uid, state, schema, reader, ingestion, shard, api_keys)"
                " VALUES (%s, %s, %s, 'uid', 'Active', %s, %s, %s, 0, %s)",
                [
                    tenant.incarnation,
                    namespace,
                    name,
                    tenant.schema,
                    tenant.reader,
                    tenant.ingestion,
                    [hashlib.sha256(api_key_of(known_as).encode()).hexdigest()],
                ],
            )
            admin.execute(
                f"INSERT INTO {self.names.schema}.pointer (tenant, schema, login) VALUES (%s, %s, %s)",
                [tenant.incarnation, tenant.schema, tenant.ingestion],
            )
        return tenant

    def promote(self, tenant: UUID, revision: int) -> None:
        """Move the pointer as the operator's promotion does, without its checks."""
        c = self.names.schema
        with self.connect() as owner, owner.transaction():
            schema = owner.execute(f"SELECT schema FROM {c}.pointer WHERE tenant = %s FOR UPDATE", [tenant]).fetchone()
            assert schema is not None
            owner.execute(f"UPDATE {c}.promotion SET number = number + 1")
            owner.execute(
                f"UPDATE {schema[0]}.revision SET state = 'Retained', replaced_at = now() WHERE state = 'Active'"
            )
            owner.execute(
                f"UPDATE {schema[0]}.revision SET state = 'Active', promoted_at = now() WHERE number = %s", [revision]
            )
            owner.execute(
                f"UPDATE {c}.pointer SET active = %s, promotion = (SELECT number FROM {c}.promotion),"
                f" shape = (SELECT shape FROM {schema[0]}.revision WHERE number = %s) WHERE tenant = %s",
                [revision, revision, tenant],
            )
            owner.execute(f"SELECT {c}.bump(%s)", [tenant])


def lay_catalog(dsn: str, pipeline: str = "rag/support") -> TestCatalog:
    """A new catalog with its owner and query login 0."""
    names = CatalogNames(uuid4())
    database = conninfo_to_dict(dsn)["dbname"]
    with psycopg.connect(dsn) as admin:
        admin.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC; GRANT CONNECT ON DATABASE {database} TO PUBLIC")
        admin.execute(f"CREATE ROLE {names.owner} NOLOGIN ROLE CURRENT_USER")
        admin.execute(f"CREATE ROLE {names.query_login(0)} LOGIN NOINHERIT PASSWORD '{PASSWORD}'")
        admin.execute(f"GRANT CREATE ON DATABASE {database} TO {names.owner}")
        admin.execute(f"SET LOCAL ROLE {names.owner}")
        admin.execute(f"CREATE SCHEMA {names.schema}")
        admin.execute(catalog_ddl(names))
        admin.execute(query_login_rights(names, 0))
        admin.execute(
            f"INSERT INTO {names.schema}.instance (catalog_id, pipeline, pipeline_uid, schema_version)"
            " VALUES (%s, %s, 'uid', 1)",
            [names.catalog, pipeline],
        )
        admin.execute(f"INSERT INTO {names.schema}.query_login (shard, role) VALUES (0, %s)", [names.query_login(0)])
    return TestCatalog(dsn, names)
