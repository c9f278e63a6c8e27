"""What ingestion tells the operator, at once: NOTIFY of a catalog as an endless stream that survives outages.

Notifications may be lost (DATA §4): the stream says `Reconnected` whenever it may have missed some, the engine then
rereads all rows. Needs a direct connection: LISTEN doesn't work through a transaction pooler.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

from psycopg.sql import SQL, Identifier

from rag_operator.stores.address import DatabaseAddress
from rag_operator.stores.errors import StoreTrouble, translated
from rag_operator.stores.pool import Connection, Limits, connect
from rag_runtime.contract.names import CatalogNames

_log = logging.getLogger(__name__)
_LISTEN = SQL("LISTEN {channel}")
_QUIET = 30.0
"""Seconds without a notification after which the connection is asked whether it lives."""
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Reconnected:
    """Notifications may have been missed: reread everything."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection broke, or could not be made; it is tried again by itself."""

    message: str


async def listen(
    address: DatabaseAddress, catalog: CatalogNames, quiet: float = _QUIET, limits: Limits | None = None
) -> AsyncGenerator[Reconnected | Lost | str, None]:
    """Payloads of the operator's channel (a tenant's id), `Reconnected` at each new connection, `Lost` at each failure.

    Never ends by itself; close the iterator to close the connection.
    """
    pauses = _pauses()
    while True:
        try:
            with translated(address):
                connection = await connect(address, f"rag-operator listen {catalog.schema}", limits or Limits())
                async with connection:
                    await connection.execute(_LISTEN.format(channel=Identifier(catalog.operator_channel)))
                    pauses = _pauses()
                    yield Reconnected()
                    while True:
                        async for notification in connection.notifies(timeout=quiet):
                            yield notification.payload
                        await _check(connection)
        except StoreTrouble as trouble:
            _log.info("listening interrupted", extra={"catalog": str(catalog.catalog), "why": str(trouble)})
            yield Lost(str(trouble))
        await asyncio.sleep(next(pauses))


async def _check(connection: Connection) -> None:
    async with asyncio.timeout(5):
        await connection.execute("SELECT 1")


def _pauses() -> Iterator[float]:
    pause = 0.2
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)
