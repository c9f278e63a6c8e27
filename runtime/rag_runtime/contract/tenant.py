"""A tenant's schema: documents, revisions, leases. Tables of a revision are made lazily by `create_revision`.

`{s}` is the tenant schema, `{login}` the ingestion role, `{reader}` the reader role; all come from `names`.
"""

from __future__ import annotations

from rag_runtime.contract.names import TenantNames

TENANT_VERSION = 1

TABLES = """
CREATE TABLE {s}.document (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,
  path text NOT NULL,
  seq bigint NOT NULL,
  deleted boolean NOT NULL DEFAULT false,
  validator text,
  content_hash text NOT NULL,
  extractor text NOT NULL,
  media_type text NOT NULL,
  uri text NOT NULL,
  title text NOT NULL,
  text text NOT NULL,
  sections jsonb NOT NULL DEFAULT '[]',
  metadata jsonb NOT NULL DEFAULT '{{}}',
  acl text[] NOT NULL,
  expires_at timestamptz,
  changed_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (source, path)
);
CREATE INDEX ON {s}.document (seq);
CREATE TABLE {s}.revision (
  number int PRIMARY KEY,
  spec_hash text NOT NULL,
  shape jsonb NOT NULL,
  state text NOT NULL DEFAULT 'Building'
    CHECK (state IN ('Building', 'Ready', 'Active', 'Retained', 'Retiring', 'Retired', 'Failed')),
  built boolean NOT NULL DEFAULT false,
  message text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  promoted_at timestamptz,
  replaced_at timestamptz
);
CREATE TABLE {s}.run (
  step text NOT NULL CHECK (step IN ('Sync', 'Index')),
  revision int NOT NULL DEFAULT 0,
  shard int NOT NULL DEFAULT 0,
  holder text NOT NULL DEFAULT '',
  epoch bigint NOT NULL DEFAULT 0,
  expires_at timestamptz NOT NULL DEFAULT '-infinity',
  watermark bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (step, revision, shard)
);
"""

RIGHTS = """
GRANT USAGE ON SCHEMA {s} TO {login}, {reader};
GRANT SELECT, INSERT, UPDATE ON {s}.document TO {login};
GRANT SELECT ON {s}.revision, {s}.run TO {login};
"""


def tenant_ddl(names: TenantNames) -> str:
    """All of a new tenant's schema (the schema itself exists), to be run by the owner in one transaction."""
    return "\n".join(
        part.format(s=names.schema, login=names.ingestion, reader=names.reader) for part in (TABLES, RIGHTS)
    )
