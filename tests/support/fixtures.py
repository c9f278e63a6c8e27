"""Session fixtures of the real data plane: Postgres from the wheel, Debian's redis-server."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support import postgres, redis
from tests.support.catalog import TestCatalog, lay_catalog


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """A real Postgres with pgvector for this worker."""
    with postgres.running() as server:
        yield server


@pytest.fixture
def database(postgres_server: postgres.Server) -> Iterator[str]:
    """Connection string of a fresh database, as an admin with CREATEROLE and no superuser."""
    name = f"t_{uuid4().hex[:12]}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


@pytest.fixture
def catalog(database: str) -> TestCatalog:
    """A catalog in a fresh database."""
    return lay_catalog(database)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[redis.RedisServer]:
    """A real redis-server with a password, for this worker; each test uses keys of its own."""
    with redis.running() as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server: redis.RedisServer) -> str:
    """The server's URL in clear."""
    return redis_server.url
