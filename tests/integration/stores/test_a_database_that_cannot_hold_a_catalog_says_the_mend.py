"""Issue 3, bad input: what the operator's login lacks is named with the exact statement that grants it."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from rag_operator.api.conditions import Reason
from rag_operator.stores.catalog import ensure_catalog
from rag_operator.stores.database import Databases
from rag_operator.stores.errors import StoreProblem, StoreTrouble
from rag_operator.stores.preflight import preflight
from tests.integration.stores.world import World, address_of, catalog_request
from tests.support.postgres import PASSWORD, SUPERUSER, Server


@pytest.fixture
def bare(postgres_server: Server) -> Iterator[str]:
    """A database without the extension, owned by the superuser."""
    name = f"bare_{uuid4().hex[:10]}"
    with psycopg.connect(postgres_server.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    yield name
    postgres_server.drop_database(name)


def as_superuser(server: Server, database: str, *statements: str) -> None:
    """Run statements there."""
    with psycopg.connect(server.dsn(SUPERUSER, database), autocommit=True) as admin:
        for statement in statements:
            admin.execute(statement)


async def refusal(databases: Databases, dsn: str) -> StoreProblem:
    """What preflight says."""
    with pytest.raises(StoreProblem) as refused:
        await preflight(databases, address_of(dsn))
    return refused.value


async def test_a_suitable_database(databases: Databases, database: str) -> None:
    facts = await preflight(databases, address_of(database))
    assert facts.server >= 160000
    assert facts.pgvector >= "0.8"
    assert (facts.superuser, facts.owns_database) == (False, True)


async def test_each_missing_right_is_named_in_turn_until_a_catalog_can_be_made(
    postgres_server: Server, databases: Databases, bare: str
) -> None:
    login = f"app_{bare}"
    as_superuser(postgres_server, bare, f"CREATE ROLE {login} LOGIN PASSWORD '{PASSWORD}'")
    dsn = postgres_server.dsn(login, bare)

    problem = await refusal(databases, dsn)
    assert problem.reason is Reason.MISSING_PRIVILEGE
    assert "CREATE EXTENSION vector;" in str(problem)
    assert "postInitApplicationSQL" in str(problem)

    as_superuser(postgres_server, bare, "CREATE EXTENSION vector SCHEMA public")
    problem = await refusal(databases, dsn)
    assert problem.reason is Reason.MISSING_PRIVILEGE
    assert f'ALTER ROLE "{login}" CREATEROLE;' in str(problem)
    assert f"managed: {{roles: [{{name: {login}, ensure: present, login: true, createrole: true}}]}}" in str(problem)

    as_superuser(postgres_server, bare, f'ALTER ROLE "{login}" CREATEROLE')
    problem = await refusal(databases, dsn)
    assert f'GRANT CREATE ON DATABASE "{bare}" TO "{login}";' in str(problem)

    as_superuser(postgres_server, bare, f'GRANT CREATE ON DATABASE "{bare}" TO "{login}"')
    facts = await preflight(databases, address_of(dsn))
    assert facts.owns_database is False
    await ensure_catalog(databases, address_of(dsn), catalog_request())


async def test_where_public_may_not_connect_the_owner_is_asked(
    postgres_server: Server, databases: Databases, bare: str
) -> None:
    login = f"app_{bare}"
    as_superuser(
        postgres_server,
        bare,
        f"CREATE ROLE {login} LOGIN CREATEROLE PASSWORD '{PASSWORD}'",
        f"REVOKE ALL ON DATABASE {bare} FROM PUBLIC",
        f"GRANT CONNECT, CREATE ON DATABASE {bare} TO {login}",
        "CREATE EXTENSION vector",
    )
    with pytest.raises(StoreProblem, match=f'GRANT CONNECT ON DATABASE "{bare}" TO PUBLIC;'):
        await ensure_catalog(databases, address_of(postgres_server.dsn(login, bare)), catalog_request())


async def test_a_superuser_gets_the_extension_made(postgres_server: Server, databases: Databases, bare: str) -> None:
    facts = await preflight(databases, address_of(postgres_server.dsn(SUPERUSER, bare)))
    assert facts.superuser
    assert facts.pgvector


async def test_the_extension_in_another_schema_or_too_old(
    postgres_server: Server, databases: Databases, bare: str
) -> None:
    as_superuser(postgres_server, bare, "CREATE SCHEMA ext", "CREATE EXTENSION vector SCHEMA ext")
    problem = await refusal(databases, postgres_server.dsn(SUPERUSER, bare))
    assert problem.reason is Reason.DATABASE_UNSUITABLE
    assert "ALTER EXTENSION vector SET SCHEMA public;" in str(problem)
    as_superuser(
        postgres_server,
        bare,
        "ALTER EXTENSION vector SET SCHEMA public",
        "UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'",
    )
    problem = await refusal(databases, postgres_server.dsn(SUPERUSER, bare))
    assert "ALTER EXTENSION vector UPDATE;" in str(problem)


async def test_a_wrong_password_names_the_secret(databases: Databases, database: str) -> None:
    address = address_of(database.replace(PASSWORD, "not-the-password"))
    with pytest.raises(StoreTrouble) as refused:
        await preflight(databases, address)
    assert refused.value.reason is Reason.DATABASE_UNREACHABLE
    assert "correct username and password in the database's Secret" in str(refused.value)
    assert "not-the-password" not in str(refused.value)


async def test_a_database_that_is_not_there_yet(postgres_server: Server, databases: Databases) -> None:
    with pytest.raises(StoreTrouble, match="create it, or correct dbname"):
        await preflight(databases, address_of(postgres_server.dsn(dbname="nowhere")))


async def test_a_transaction_in_a_catalog_that_is_gone(world: World) -> None:
    world.run(f"DROP SCHEMA {world.catalog.schema} CASCADE")
    with pytest.raises(StoreProblem) as refused:
        async with world.tx():
            pass
    assert refused.value.reason is Reason.CATALOG_MISMATCH
