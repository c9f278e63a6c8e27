"""Fixtures of the stores: databases of an operator, and a catalog in a fresh database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from rag_operator.stores.database import Databases
from tests.integration.stores.world import Crash, CrashError, World, new_world
from tests.support.postgres import Server


@pytest.fixture
async def databases() -> AsyncIterator[Databases]:
    """The databases of an operator process `one`."""
    async with Databases("one") as all_databases:
        yield all_databases


@pytest.fixture
async def world(postgres_server: Server, databases: Databases, database: str) -> World:
    """A catalog that this operator leads."""
    return await new_world(postgres_server, databases, database)


@pytest.fixture
def crash_after(monkeypatch: pytest.MonkeyPatch) -> Crash:
    """Let the operator's connection break, hard, after so many statements; None: no more."""
    original: Any = psycopg.AsyncConnection.execute
    left: list[int | None] = [None]

    async def execute(self: psycopg.AsyncConnection[Any], *args: Any, **kwargs: Any) -> Any:
        if left[0] is not None:
            if left[0] == 0:
                left[0] = None
                self.pgconn.finish()
                raise CrashError
            left[0] -= 1
        return await original(self, *args, **kwargs)

    def set_left(statements: int | None) -> None:
        left[0] = statements

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", execute)
    return set_left
