"""What the stores count."""

from __future__ import annotations

from prometheus_client import Counter

SQL_WRITES = Counter(
    "rag_operator_sql_writes_total",
    "Statements sent to Postgres that write or lock, by what they change: rows, roles, schema or notify.",
    ["what"],
)
ROWS, ROLES, SCHEMA, NOTIFY = (SQL_WRITES.labels(what) for what in ("rows", "roles", "schema", "notify"))
MIGRATIONS = Counter(
    "rag_operator_migrations_total",
    "Schemas brought to a version, by what they are of: catalog or tenant.",
    ["schema", "version"],
)
