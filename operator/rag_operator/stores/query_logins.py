"""The query pods' logins: two for each shard of readers, which take turns, so that rotation refuses nobody.

The first, `…_query_NN`, is the one that readers are granted to; the alternate, `…_query_NN_b`, is made at the first
rotation and a member of it. Which one is meant stands in the pods' Secret, and the catalog records which one has that
Secret's password: `credential_version` is `VERSION` for the first, and from the first rotation on `VERSION a TIME` or
`VERSION b TIME`, where TIME is when it took its turn, by the clock of Postgres.

A release of before there were alternates names the first in the Secret again, with the password that stands there, and
records a plain `VERSION`: once, then it rests. It shuts nobody, and lists the alternate as a role without a tenant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg.rows import DictRow
from psycopg.sql import SQL, Composed, Identifier, Literal

from rag_operator.stores.erasure import end_sessions
from rag_operator.stores.roles import check_mark, mark
from rag_operator.stores.scram import verifier
from rag_operator.stores.transaction import Transaction
from rag_runtime.contract.catalog import query_login_rights
from rag_runtime.contract.names import CatalogNames

_LOGINS = SQL("""
SELECT v.shard, l.shard IS NOT NULL AS known, coalesce(l.credential_version, '') AS recorded, now() AS now,
  a.oid IS NOT NULL AS a_exists, a.rolcanlogin AS a_open, shobj_description(a.oid, 'pg_authid') AS a_mark,
  b.oid IS NOT NULL AS b_exists, b.rolcanlogin AS b_open, shobj_description(b.oid, 'pg_authid') AS b_mark,
  m.oid IS NOT NULL AS has_maker, shobj_description(m.oid, 'pg_authid') AS maker_mark
FROM unnest(%(shards)s::int[], %(a)s::text[], %(b)s::text[], %(makers)s::text[]) v (shard, a, b, maker)
LEFT JOIN {c}.query_login l ON l.role = v.a LEFT JOIN pg_roles a ON a.rolname = v.a
LEFT JOIN pg_roles b ON b.rolname = v.b LEFT JOIN pg_roles m ON m.rolname = v.maker
ORDER BY v.shard
""")
_CREATE_MAKER = SQL("CREATE ROLE {role} NOLOGIN CREATEROLE")
_ASSUME = SQL("GRANT {role} TO CURRENT_USER WITH INHERIT FALSE, SET TRUE")
_CREATE_LOGIN = SQL("CREATE ROLE {role} LOGIN NOINHERIT PASSWORD {verifier}")
_CREATE_CLOSED = SQL("CREATE ROLE {role} NOLOGIN NOINHERIT")
_SET_PASSWORD = SQL("ALTER ROLE {role} LOGIN NOINHERIT PASSWORD {verifier}")
_REACH_READERS = SQL("GRANT {first} TO {role} WITH INHERIT FALSE, SET TRUE")
_SAVE_LOGIN = SQL("""
INSERT INTO {c}.query_login (shard, role, credential_version) VALUES (%s, %s, %s)
ON CONFLICT (shard) DO UPDATE SET credential_version = excluded.credential_version
""")
_RECORDS = SQL("SELECT shard, credential_version AS recorded FROM {c}.query_login")
_PAIRS = SQL("""
SELECT l.shard, l.credential_version AS recorded, now() AS now, a.rolcanlogin AS a_open, b.rolcanlogin AS b_open,
  NOT a.rolcanlogin AND EXISTS (SELECT FROM pg_stat_activity WHERE usesysid = a.oid) AS a_stays,
  NOT b.rolcanlogin AND EXISTS (SELECT FROM pg_stat_activity WHERE usesysid = b.oid) AS b_stays
FROM {c}.query_login l JOIN pg_roles a ON a.rolname = l.role JOIN pg_roles b ON b.rolname = l.role || '_b'
ORDER BY l.shard
""")
_CLOSE = SQL("ALTER ROLE {role} NOLOGIN PASSWORD NULL")


@dataclass(frozen=True, slots=True)
class _Record:
    """What `credential_version` says of a shard."""

    version: str
    alternate: bool = False
    since: datetime | None = None
    """When that login took its turn."""

    @staticmethod
    def read(text: str) -> _Record:
        version, _, turn = text.partition(" ")
        letter, _, since = turn.partition(" ")
        return _Record(version, letter == "b", datetime.fromisoformat(since) if since else None)

    def __str__(self) -> str:
        if self.since is None:
            return self.version
        return f"{self.version} {'b' if self.alternate else 'a'} {self.since.astimezone(UTC).isoformat()}"


@dataclass(frozen=True, slots=True)
class _Login:
    """One of a shard's two logins, as the Secret means it, beside what the catalog has."""

    row: DictRow
    catalog: CatalogNames
    alternate: bool

    @property
    def role(self) -> str:
        return name_of(self.catalog, self.row["shard"], self.alternate)

    @property
    def record(self) -> _Record:
        return _Record.read(self.row["recorded"])

    @property
    def exists(self) -> bool:
        return bool(self.row["b_exists" if self.alternate else "a_exists"])

    @property
    def switches(self) -> bool:
        """Whether the other one had its turn until now."""
        return bool(self.row["known"]) and self.record.alternate != self.alternate

    def stands_at(self, version: str) -> bool:
        """Whether pods log in with what the Secret of that version holds."""
        is_open = self.row["b_open" if self.alternate else "a_open"]
        return bool(is_open and self.row["known"] and self.record.version == version and not self.switches)

    def recorded(self, version: str) -> str:
        since = None if self.switches else self.record.since
        if since is None and (self.switches or self.alternate):
            since = self.row["now"]
        return str(_Record(version, self.alternate, since))


@dataclass(frozen=True, slots=True)
class Closing:
    """What became of logins whose turn is over."""

    closed: tuple[str, ...] = ()
    """No new session from this transaction's commit on; those that there are, are ended by `end_former_sessions`."""
    due: float | None = None
    """Seconds until the next one is to be closed."""


def name_of(names: CatalogNames, shard: int, alternate: bool) -> str:
    """The name of one of a shard's two logins."""
    return names.alternate_login(shard) if alternate else names.query_login(shard)


async def read_turns(tx: Transaction) -> dict[int, bool]:
    """By shard that has a login: whether it is the alternate's turn."""
    return {int(row["shard"]): _Record.read(row["recorded"]).alternate for row in await tx.rows(_RECORDS)}


async def ensure_query_logins(
    tx: Transaction, passwords: Mapping[int, str], version: str, former: str = "", alternates: Collection[int] = ()
) -> list[int]:
    """The query service's logins, by shard of readers, and the shards' makers. Only reads when all have the version.

    `version` names the state of the Secret that holds the passwords, for instance its uid and resourceVersion; `former`
    the state before it, where none of the passwords that it held has changed since: such logins keep theirs. The
    passwords are the alternates' for the shards listed. Returns the shards whose login took turns with the other, which
    stays open until `close_former_logins`.
    StoreProblem ROLE_TAKEN when a role of such a name isn't ours.
    """
    logins = [_Login(row, tx.catalog, row["shard"] in alternates) for row in await _rows(tx, list(passwords))]
    for login in logins:
        if login.stands_at(version):
            continue
        if former and login.stands_at(former):
            await tx.change(_SAVE_LOGIN, _saved(login, version))
        else:
            await _set_password(tx, login, passwords[login.row["shard"]], version)
    return [login.row["shard"] for login in logins if login.switches]


async def _rows(tx: Transaction, shards: list[int]) -> list[DictRow]:
    """What there is of these shards; makers that were missing are made."""
    names = tx.catalog
    firsts, alternates = ([name_of(names, shard, b) for shard in shards] for b in (False, True))
    makers = [names.maker(shard) for shard in shards]
    rows = await tx.rows(_LOGINS, {"shards": shards, "a": firsts, "b": alternates, "makers": makers})
    for row in rows:
        for alternate, letter in ((False, "a"), (True, "b")):
            if row[f"{letter}_exists"]:
                check_mark(names, name_of(names, row["shard"], alternate), row[f"{letter}_mark"])
        maker = names.maker(row["shard"])
        if row["has_maker"]:
            check_mark(names, maker, row["maker_mark"])
        else:
            role = Identifier(maker)
            await tx.as_login(_CREATE_MAKER.format(role=role), mark(names, maker), _ASSUME.format(role=role))
    return rows


def _saved(login: _Login, version: str) -> list[int | str]:
    shard = int(login.row["shard"])
    return [shard, login.catalog.query_login(shard), login.recorded(version)]


async def _set_password(tx: Transaction, login: _Login, password: str, version: str) -> None:
    role, shard, statements = Identifier(login.role), login.row["shard"], list[Composed]()
    first = tx.catalog.query_login(shard)
    if login.alternate and not login.row["a_exists"]:
        statements += [_CREATE_CLOSED.format(role=Identifier(first)), mark(tx.catalog, first)]
    change = _SET_PASSWORD if login.exists else _CREATE_LOGIN
    statements.append(change.format(role=role, verifier=Literal(verifier(password))))
    if not login.exists:
        statements.append(mark(tx.catalog, login.role))
    if login.alternate:
        statements.append(_REACH_READERS.format(first=Identifier(first), role=role))
    await tx.as_login(*statements)
    for alternate in {False, login.alternate}:
        if not login.row["known"] or not login.row["b_exists" if alternate else "a_exists"]:
            await tx.script(query_login_rights(tx.catalog, shard, alternate))
    await tx.change(_SAVE_LOGIN, _saved(login, version))


async def close_former_logins(tx: Transaction, grace: float) -> Closing:
    """Shut every login whose turn has been over for `grace` seconds; only reads where none is open.

    One without a recorded time (a release without alternates ran meanwhile) has its grace from now on.
    """
    closed, due = list[str](), list[float]()
    for row in await tx.rows(_PAIRS):
        record, shard = _Record.read(row["recorded"]), int(row["shard"])
        name, letter = name_of(tx.catalog, shard, not record.alternate), "a" if record.alternate else "b"
        if not row[f"{letter}_open"]:
            closed += [name] if row[f"{letter}_stays"] else []
            continue
        if record.since is None:
            record = _Record(record.version, record.alternate, row["now"])
            await tx.change(_SAVE_LOGIN, [shard, tx.catalog.query_login(shard), str(record)])
        left = grace - (row["now"] - (record.since or row["now"])).total_seconds()
        if left > 0:
            due.append(left)
        else:
            await tx.as_login(_CLOSE.format(role=Identifier(name)))
            closed.append(name)
    return Closing(tuple(closed), min(due, default=None))


async def end_former_sessions(tx: Transaction, closing: Closing) -> None:
    """End the sessions of what was closed, in a transaction after that: none comes back, and pods ask again."""
    for name in closing.closed:
        await end_sessions(tx, name, None)
