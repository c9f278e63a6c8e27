"""What the operator sent for one tenant, recorded on the wires of the fault harness, and sent again for others.

The replay is the floor: the same writes to the API server and the same statements to Postgres, without an operator.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import psycopg
import yaml
from aiohttp import web
from psycopg import pq

from tests.faults.api_wire import WRITES, Forward
from tests.faults.sql_wire import Message


@dataclass(frozen=True, slots=True)
class Call:
    """A write to the API server."""

    method: str
    path: str
    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with its bound values, as they came over the wire."""

    sql: bytes
    values: tuple[bytes | None, ...] = ()
    formats: tuple[int, ...] = ()
    types: tuple[int, ...] = ()


@dataclass(slots=True)
class Line:
    """One connection to Postgres: what it has prepared, and the transaction that is open."""

    prepared: dict[bytes, tuple[bytes, tuple[int, ...]]] = field(default_factory=dict)
    open: list[Statement] = field(default_factory=list)


@dataclass(slots=True)
class Recording:
    """Everything that passed since `on`: writes in order, transactions in the order of their end."""

    on: bool = False
    calls: list[Call] = field(default_factory=list)
    transactions: list[list[Statement]] = field(default_factory=list)
    _lines: dict[int, Line] = field(default_factory=dict)

    async def request(self, request: web.Request, forward: Forward) -> None:
        """As the API wire's weather: note a write and let it pass."""
        if self.on and request.method in WRITES and "/leases" not in request.path:
            kind = request.headers.get("Content-Type", "")
            self.calls.append(Call(request.method, request.raw_path, await request.read(), kind))

    def message(self, line: int, message: Message) -> None:
        """As the SQL wire's listener: note what is executed."""
        here = self._lines.setdefault(line, Line())
        if message.kind == b"P":
            name, sql, rest = message.raw[5:].split(b"\0", 2)
            (count,) = struct.unpack_from("!H", rest)
            here.prepared[name] = (sql, struct.unpack_from(f"!{count}I", rest, 2))
        elif message.kind == b"B":
            self._done(here, _bound(message.raw[5:], here.prepared))
        elif message.kind == b"Q":
            self._done(here, Statement(message.statement))

    def _done(self, line: Line, statement: Statement) -> None:
        line.open.append(statement)
        if statement.sql.strip().upper() in (b"COMMIT", b"ROLLBACK"):
            if self.on:
                self.transactions.append(line.open)
            line.open = []

    def about(self, *marks: str) -> Recording:
        """Only what names one of these."""
        wanted = [mark.encode() for mark in marks]
        calls = [one for one in self.calls if _names(wanted, one.path.encode(), one.body)]
        transactions = [
            one for one in self.transactions if _names(wanted, *(p for s in one for p in (s.sql, *s.values) if p))
        ]
        return Recording(calls=calls, transactions=transactions)


def _names(wanted: list[bytes], *parts: bytes) -> bool:
    return any(mark in part for mark in wanted for part in parts)


def _bound(raw: bytes, prepared: dict[bytes, tuple[bytes, tuple[int, ...]]]) -> Statement:
    _, name, rest = raw.split(b"\0", 2)
    (count,) = struct.unpack_from("!H", rest)
    formats, at = struct.unpack_from(f"!{count}H", rest, 2), 2 + 2 * count
    (count,), at = struct.unpack_from("!H", rest, at), at + 2
    values: list[bytes | None] = []
    for _ in range(count):
        (length,), at = struct.unpack_from("!i", rest, at), at + 4
        values.append(None if length < 0 else rest[at : at + length])
        at += max(length, 0)
    if len(formats) == 1:
        formats = formats * count
    sql, types = prepared[name]
    return Statement(sql, tuple(values), formats or (0,) * count, types)


@dataclass(frozen=True, slots=True)
class Renaming:
    """The recorded tenant's names and ids to another's, the longest first."""

    pairs: tuple[tuple[bytes, bytes], ...]

    def __call__(self, text: bytes) -> bytes:
        """The text, about the other tenant."""
        for old, new in self.pairs:
            text = text.replace(old, new)
        return text


def renaming(old: dict[str, bytes], new: dict[str, bytes]) -> Renaming:
    """By kind of name."""
    pairs = sorted(((old[kind], new[kind]) for kind in old), key=lambda pair: -len(pair[0]))
    return Renaming(tuple(pairs))


async def replay_calls(kubeconfig: Path, calls: list[Call], renamings: list[Renaming], width: int) -> None:
    """Every write for every tenant, so many tenants at once."""
    cluster, user = _access(kubeconfig)
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    waiting = iter(renamings)

    async def work(http: aiohttp.ClientSession) -> None:
        for renamed in waiting:
            for call in calls:
                body, path = _unguarded(renamed(call.body)), renamed(call.path.encode()).decode()
                headers = {"Content-Type": call.content_type}
                async with http.request(call.method, cluster["server"] + path, data=body, headers=headers) as answer:
                    text = await answer.text()
                    assert answer.status < 300, (call.method, path, text[:400])

    headers = {"Authorization": f"Bearer {user['token']}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls), headers=headers) as http:
        await asyncio.gather(*(work(http) for _ in range(width)))


def _access(kubeconfig: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    config = yaml.safe_load(kubeconfig.read_text())
    return config["clusters"][0]["cluster"], config["users"][0]["user"]


def _unguarded(body: bytes) -> bytes:
    """Without the version that was read: another object's is another."""
    document = json.loads(body)
    document.get("metadata", {}).pop("resourceVersion", None)
    return json.dumps(document).encode()


def replay_transactions(dsn: str, transactions: list[list[Statement]], renamings: list[Renaming], width: int) -> None:
    """Every transaction for every tenant, over so many connections; statements that recur are prepared, as ours are."""
    waiting = iter(list(renamings))

    def work(_: int) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            server = Server(connection.pgconn)
            for renamed in waiting:
                for transaction in transactions:
                    for statement in transaction:
                        server.execute(statement, renamed)

    with ThreadPoolExecutor(width) as pool:
        list(pool.map(work, range(width)))


class Server:
    """A raw connection that prepares what does not change from tenant to tenant."""

    def __init__(self, connection: pq.abc.PGconn) -> None:
        self._connection = connection
        self._prepared: dict[bytes, bytes] = {}

    def execute(self, statement: Statement, renamed: Renaming) -> None:
        """Run it about another tenant. AssertionError with the server's words."""
        sql = renamed(statement.sql)
        values = [None if value is None else renamed(value) for value in statement.values]
        if not values:  # a message of its own, of several statements perhaps
            result = self._connection.exec_(sql)
        elif sql == statement.sql:
            # psycopg's annotation leaves out NULL, which libpq takes.
            bound = cast("list[bytes]", values)
            result = self._connection.exec_prepared(self._name(statement), bound, list(statement.formats))
        else:
            result = self._connection.exec_params(sql, values, list(statement.types), list(statement.formats))
        ok = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, pq.ExecStatus.EMPTY_QUERY)
        assert result.status in ok, (result.error_message, sql[:300])

    def _name(self, statement: Statement) -> bytes:
        if statement.sql not in self._prepared:
            name = f"s{len(self._prepared)}".encode()
            self._connection.prepare(name, statement.sql, list(statement.types))
            self._prepared[statement.sql] = name
        return self._prepared[statement.sql]
