"""A9, DATA §2: a query login's Secret is deleted, and no moment refuses whoever has the former or the new password."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg
import pytest

from tests.support.catalog import CATALOGS
from tests.support.looks import LONG, looks, written
from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
SECRET = "support-query-db"
GRACE = 6
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Login:
    """What a pod has of the Secret."""

    place: str
    user: str
    password: str

    def refusal(self) -> str:
        """Why a new session is refused; empty when it is let in."""
        try:
            psycopg.connect(self.place, user=self.user, password=self.password, connect_timeout=60).close()
        except psycopg.OperationalError as error:
            return str(error)
        return ""


@dataclass(slots=True)
class Client:
    """Logs in again and again, a few milliseconds apart."""

    login: Login
    refused: list[str] = field(default_factory=list)
    sessions: int = 0
    served_at: datetime = LONG_AGO
    """When the newest session that it got was asked for."""
    refused_at: datetime | None = None
    """When it knew of the first refusal."""
    _over: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        """Until it is told to end."""
        while not self._over.wait(0.005):
            asked = datetime.now(UTC)
            if refusal := self.login.refusal():
                self.refused_at = self.refused_at or datetime.now(UTC)
                self.refused.append(refusal)
            else:
                self.served_at = asked
            self.sessions += 1

    def kept(self, since: datetime) -> float:
        """Seconds from then to its first refusal."""
        assert self.refused_at is not None
        return (self.refused_at - since).total_seconds()

    def end(self) -> None:
        """The last session is over soon."""
        self._over.set()


@contextlib.contextmanager
def logging_in(login: Login) -> Iterator[Client]:
    """A client beside the test."""
    client = Client(login)
    thread = threading.Thread(target=client.work)
    thread.start()
    try:
        yield client
    finally:
        client.end()
        thread.join()


def login(here: World) -> Login:
    """What the Secret says now."""
    held = here.secret(SECRET)
    place = f"host={held['host']} port={held['port']} dbname={held['dbname']}"
    return Login(place, held["query-00.username"], held["query-00.password"])


def other_login(here: World, former: Login) -> Login:
    """What the Secret says once it is another."""

    def look() -> Login | None:
        live = here.get("secret", SECRET) or {}
        there = live.get("data", {}).keys() >= {"query-00.username", "query-00.password"}
        return found if there and (found := login(here)) != former else None

    found = eventually(look, "the Secret has another login")
    assert found is not None
    return found


def begin(here: World, database: str, grace: int = GRACE) -> Login:
    """A pipeline with a tenant; the query pods' first login."""
    here.operator(resync_seconds="2", login_grace_seconds=str(grace))
    here.apply(pipeline(), tenant(suspend=True), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "Ready", "Suspended")
    first = login(here)
    assert first.refusal() == ""
    return first


def turned(database: str) -> datetime:
    """When a login took its turn last, as Postgres has it: its grace counts from there."""
    with psycopg.connect(database) as admin:
        (catalog,) = admin.execute(CATALOGS).fetchone() or ("",)
        admin.execute(f"SET ROLE {catalog}_owner".encode())
        ((recorded,),) = admin.execute(f"SELECT credential_version FROM {catalog}.query_login".encode()).fetchall()
    return datetime.fromisoformat(recorded.rpartition(" ")[2])


def settled(here: World, database: str) -> None:
    """Two looks without a write, neither to the API server nor to Postgres."""
    with psycopg.connect(database, autocommit=True) as admin:

        def xid() -> int:
            row = admin.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
            assert row is not None
            return int(row[0])

        def quiet() -> bool:
            mark, before = here.api.audit.mark(), xid()
            looks(here.replicas[0])
            return not written(here, mark) and xid() == before

        eventually(quiet, "nothing is written", LONG)


def test_neither_the_former_nor_the_new_login_is_refused_and_the_former_is_closed_after_the_grace(
    here: World, database: str
) -> None:
    first = begin(here, database)
    eventually(lambda: here.get("deployment", "support-query"), "the pods")
    generation = (here.get("deployment", "support-query") or {})["metadata"]["generation"]
    with logging_in(first) as old:
        eventually(lambda: old.sessions > 100, "it is served")
        here.kubectl("delete", "secret", SECRET)
        second = other_login(here, first)
        line = here.wait_audited("LoginRotated")
        assert second.user in line["message"]
        assert second.password not in json.dumps(line)
        assert second.user != first.user
        with logging_in(second) as new:
            eventually(lambda: old.refused, "the former login is closed", LONG)
            old.end()
            since = new.sessions
            eventually(lambda: new.sessions > since + 100, "the new one is served on")
    assert old.kept(turned(database)) >= GRACE, "not before its grace is over"
    assert old.served_at > turned(database)
    assert new.refused == []
    assert "authentication failed" in first.refusal(), "its password is gone, whoever lets it log in again"
    settled(here, database)

    with logging_in(second) as old:
        here.kubectl("patch", "secret", SECRET, "--type=merge", "-p", '{"data":{"query-00.password":null}}')
        third = other_login(here, second)
        here.wait_audited("LoginRotated", 2)
        assert third.user == first.user, "the turn goes back"
        assert third.refusal() == ""
        eventually(lambda: old.refused, "the second is closed in its turn", LONG)
    assert old.kept(turned(database)) >= GRACE, "its grace counts from now, whatever the Secret's age"
    assert third.refusal() == ""
    settled(here, database)
    assert (here.get("deployment", "support-query") or {})["metadata"]["generation"] == generation, "no pod is replaced"


def test_an_operator_that_died_after_the_secret_is_completed_by_the_next(here: World, database: str) -> None:
    """The Secret names the other login, with a password that Postgres doesn't know yet; the status knows no catalog."""
    first = begin(here, database, 600)
    here.replicas[0].stop()
    forgotten = json.dumps({"status": {"catalogID": None}})
    here.kubectl("patch", "ragpipeline", "support", "--subresource=status", "--type=merge", "-p", forgotten)
    second = Login(first.place, f"{first.user}_b", "made-by-the-one-that-died")
    held = {"query-00.username": second.user, "query-00.password": second.password}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in held.items()}
    here.kubectl("patch", "secret", SECRET, "--type=merge", "-p", json.dumps({"data": encoded}))
    assert second.refusal()
    with logging_in(first) as old:
        here.operator(resync_seconds="2")
        eventually(lambda: second.refusal() == "", "the next operator completes it")
    here.wait_audited("LoginRotated")  # the one who completes it says so
    assert old.refused == []
    assert login(here) == second


def test_a_login_that_is_nobodys_is_put_right_and_nothing_rotates(here: World, database: str) -> None:
    first = begin(here, database)
    garbage = base64.b64encode(b"postgres").decode()
    patch = json.dumps({"data": {"query-00.username": garbage}})
    here.kubectl("patch", "secret", SECRET, "--type=merge", "-p", patch)
    eventually(lambda: login(here) == first, "the login is put back")
    settled(here, database)
    assert first.refusal() == ""
    assert "LoginRotated" not in here.logs()
