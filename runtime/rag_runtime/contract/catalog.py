"""The catalog schema, one per pipeline in each database: tables that operator, ingestion and query pods share.

`{c}` is the catalog schema; it comes from `names` and needs no quoting. The functions that ingestion may call are in
`functions`. Functions and shared tables are open to PUBLIC and decide by `session_user`, so that a tenant costs no
membership (DATA §2, probe C).
"""

from __future__ import annotations

from rag_runtime.contract.functions import FUNCTIONS
from rag_runtime.contract.names import CatalogNames

CATALOG_VERSION = 1

TABLES = """
CREATE TABLE {c}.instance (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  catalog_id uuid NOT NULL,
  pipeline text NOT NULL,
  pipeline_uid text NOT NULL,
  schema_version int NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE {c}.leader (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  epoch bigint NOT NULL DEFAULT 0,
  holder text NOT NULL DEFAULT '',
  taken_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE {c}.promotion (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  number bigint NOT NULL DEFAULT 0
);
CREATE TABLE {c}.query_login (
  shard smallint PRIMARY KEY,
  role text NOT NULL UNIQUE,
  credential_version text NOT NULL DEFAULT ''
);
CREATE TABLE {c}.tenant (
  id uuid PRIMARY KEY,
  namespace text NOT NULL,
  name text NOT NULL,
  uid text NOT NULL,
  state text NOT NULL CHECK (state IN ('Active', 'Deactivated', 'Retained', 'Erasing')),
  schema text NOT NULL UNIQUE,
  reader text NOT NULL UNIQUE,
  ingestion text NOT NULL UNIQUE,
  shard smallint NOT NULL REFERENCES {c}.query_login,
  api_keys text[] NOT NULL DEFAULT '{{}}',
  config jsonb NOT NULL DEFAULT '{{}}',
  credential_version text NOT NULL DEFAULT '',
  schema_version int NOT NULL DEFAULT 0,
  changed_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (namespace, name)
);
CREATE TABLE {c}.pointer (
  tenant uuid PRIMARY KEY,
  schema text NOT NULL,
  login text NOT NULL UNIQUE,
  open boolean NOT NULL DEFAULT true,
  active int,
  shape jsonb,
  version bigint NOT NULL DEFAULT 0,
  token text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
  wal pg_lsn NOT NULL DEFAULT '0/0',
  promotion bigint NOT NULL DEFAULT 0,
  seq bigint NOT NULL DEFAULT 0,
  fence bigint NOT NULL DEFAULT 0,
  summary jsonb NOT NULL DEFAULT '{{}}'
) WITH (fillfactor = 50);
CREATE TABLE {c}.profile (
  identity text PRIMARY KEY,
  profile jsonb NOT NULL
);
CREATE TABLE {c}.reader_lease (
  pod text PRIMARY KEY,
  applied bigint NOT NULL,
  pinned bigint NOT NULL,
  failures jsonb NOT NULL DEFAULT '{{}}',
  expires_at timestamptz NOT NULL
);
CREATE TABLE {c}.dead_letter (
  tenant uuid NOT NULL,
  source text NOT NULL,
  path text NOT NULL,
  step text NOT NULL CHECK (step IN ('Sync', 'Index')),
  reason text NOT NULL,
  message text NOT NULL,
  validator text,
  attempts int NOT NULL DEFAULT 1,
  first_at timestamptz NOT NULL DEFAULT now(),
  last_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant, source, path, step)
);
ALTER TABLE {c}.dead_letter ENABLE ROW LEVEL SECURITY;
INSERT INTO {c}.leader DEFAULT VALUES;
INSERT INTO {c}.promotion DEFAULT VALUES;
"""

RIGHTS = """
GRANT USAGE ON SCHEMA {c} TO PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON {c}.dead_letter TO PUBLIC;
CREATE POLICY own ON {c}.dead_letter USING (tenant = {c}.self_tenant()) WITH CHECK (tenant = {c}.self_tenant());
"""

QUERY_LOGIN_RIGHTS = """
GRANT SELECT ON {c}.instance, {c}.tenant, {c}.pointer, {c}.promotion TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON {c}.reader_lease TO {role};
"""


def catalog_ddl(names: CatalogNames) -> str:
    """All of a new catalog schema's tables, functions and rights, to be run by the owner in one transaction."""
    return "\n".join(part.format(c=names.schema) for part in (TABLES, FUNCTIONS, RIGHTS))


def query_login_rights(names: CatalogNames, shard: int, alternate: bool = False) -> str:
    """What a query login may do outside of readers' roles; run by the owner."""
    role = names.alternate_login(shard) if alternate else names.query_login(shard)
    return QUERY_LOGIN_RIGHTS.format(c=names.schema, role=role)
