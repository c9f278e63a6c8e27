"""Postgres and Redis as the operator sees them: schemas, roles, catalog, promotion. An effect room."""
