"""Connections as query logins, also while their passwords rotate.

Postgres and the files of the mounted Secret learn of a rotation at different times, files one after the other where no
kubelet swaps them. So a connection that fails is tried again at once with the files as they are by then, and as the
login that was accepted last, which stays open for minutes after a rotation.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg

from rag_runtime.contract.config import Database
from rag_runtime.retrieve.credentials import connection_settings

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Settings = Mapping[str, str | int | bool | None]
_LOGIN = frozenset({"user", "password"})


class Logins:
    """The query logins of one database, by shard."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._accepted: dict[int, Settings] = {}

    async def connect(self, shard: int) -> Connection:
        """A new connection in autocommit. Raises psycopg.OperationalError, DatabaseUnavailableError."""
        settings = connection_settings(self._database, shard)
        try:
            return await self._open(shard, settings)
        except psycopg.OperationalError:
            for other in self._others(shard, settings):
                with contextlib.suppress(psycopg.OperationalError):
                    return await self._open(shard, other)
            raise

    async def _open(self, shard: int, settings: Settings) -> Connection:
        connection: Connection = await psycopg.AsyncConnection.connect(**settings)  # type: ignore[arg-type]
        self._accepted[shard] = settings
        return connection

    def _others(self, shard: int, tried: Settings) -> Iterator[Settings]:
        current = connection_settings(self._database, shard)
        if current != tried:
            yield current
        accepted = self._accepted.get(shard)
        if accepted not in (None, tried, current) and _place(accepted) == _place(current):
            yield accepted


def _place(settings: Settings) -> Settings:
    """Where the database is: a login of another one is never fallen back on."""
    return {key: value for key, value in settings.items() if key not in _LOGIN}


class PooledConnection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """What a pool makes its connections by."""

    @classmethod
    async def connect(  # type: ignore[override]
        cls, conninfo: str = "", *, logins: Logins, shard: int, **_: object
    ) -> Connection:
        """As `Logins.connect`; the pool's `kwargs` name both."""
        return await logins.connect(shard)
