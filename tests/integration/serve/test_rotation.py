"""DATA §2: query logins take turns while questions are asked; none fails, and none sees another tenant's."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from rag_runtime.contract.catalog import query_login_rights
from rag_runtime.retrieve.credentials import connection_settings
from rag_runtime.retrieve.logins import Logins
from tests.integration.serve.conftest import ACME, ROBOTS, Laid
from tests.integration.serve.running import Running, eventually, serving

NEW = "the-password-of-the-other-login"
QUESTIONS = {"acme": "When do I get my salary?", "robots": "When do I change the gearbox oil?"}
TITLES = {"acme": {doc.title for doc in ACME}, "robots": {doc.title for doc in ROBOTS}}


@dataclass(slots=True)
class Rotation:
    """What an operator and a kubelet do, in steps of their own times; each ends all sessions, so pods log in anew."""

    laid: Laid

    @property
    def logins(self) -> tuple[str, str]:
        names = self.laid.catalog.names
        return names.query_login(0), names.alternate_login(0)

    def file(self, part: str, content: str) -> None:
        """One file of the Secret, as a mount without atomic swaps would show it."""
        (Path(self.laid.folder) / "database" / f"query-00.{part}").write_text(content)

    def username(self) -> None:
        self.file("username", self.logins[1])

    def password(self) -> None:
        self.file("password", NEW)

    def role(self) -> None:
        first, other = self.logins
        with psycopg.connect(self.laid.catalog.dsn) as admin:
            admin.execute(f"CREATE ROLE {other} LOGIN NOINHERIT PASSWORD '{NEW}'")
            admin.execute(f"GRANT {first} TO {other} WITH INHERIT FALSE, SET TRUE")
            admin.execute(f"SET LOCAL ROLE {self.laid.catalog.names.owner}")
            admin.execute(query_login_rights(self.laid.catalog.names, 0, alternate=True))

    def closing(self) -> None:
        with psycopg.connect(self.laid.catalog.dsn, autocommit=True) as admin:
            admin.execute(f"ALTER ROLE {self.logins[0]} NOLOGIN PASSWORD NULL")

    def end_sessions(self) -> None:
        """Of both logins: what pods ask next needs a new one."""
        with psycopg.connect(self.laid.catalog.dsn, autocommit=True) as admin:
            for login in self.sessions():
                admin.execute(f"GRANT {login} TO CURRENT_USER WITH INHERIT TRUE")
                admin.execute(
                    "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE usename = %s", [login]
                )

    def sessions(self) -> Counter[str]:
        """How many sessions each login has."""
        with psycopg.connect(self.laid.catalog.dsn) as admin:
            asked = admin.execute("SELECT usename FROM pg_stat_activity WHERE usename = ANY (%s)", [list(self.logins)])
            return Counter(str(name) for (name,) in asked)


@dataclass(slots=True)
class Asking:
    """Questions of both tenants, one after the other, and what came of them."""

    running: Running
    outcomes: list[tuple[str, int, frozenset[str]]] = field(default_factory=list)

    async def ask(self) -> None:
        """For ever."""
        while True:
            for tenant, question in QUESTIONS.items():
                response = await self.running.post("/v1/search", tenant, question=question)
                titles = frozenset(source["title"] for source in response.body.get("sources", ()))
                self.outcomes.append((tenant, response.status, titles))

    async def more(self, number: int = 12) -> None:
        """So many more answers."""
        enough = len(self.outcomes) + number

        async def done() -> bool:
            return len(self.outcomes) >= enough

        await eventually(done, 20.0)


@contextlib.asynccontextmanager
async def asking(laid: Laid) -> AsyncIterator[Asking]:
    """A service that is asked all the time."""
    async with serving(laid.config()) as running:
        load = Asking(running)
        task = asyncio.create_task(load.ask())
        try:
            await load.more()
            yield load
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_no_question_fails_at_any_step_of_a_rotation_and_none_sees_anothers(laid: Laid) -> None:
    rotation = Rotation(laid)
    steps: list[Callable[[], None]] = [rotation.username, rotation.password, rotation.role, rotation.closing]
    async with asking(laid) as load:
        for step in steps:
            step()
            await asyncio.to_thread(rotation.end_sessions)
            await load.more()
        sessions = rotation.sessions()
    assert set(sessions) == {rotation.logins[1]}
    failed = [outcome for outcome in load.outcomes if outcome[1] != 200]
    assert failed == []
    for tenant, _, titles in load.outcomes:
        assert titles
        assert titles <= TITLES[tenant]


async def test_a_refused_login_is_tried_again_with_the_files_as_they_are_by_then(
    laid: Laid, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new pod has no login to fall back on; the file with its password changes between the two reads."""
    rotation, database = Rotation(laid), laid.config().database
    rotation.role()
    rotation.username()
    read = []

    def reading(*given: object) -> object:
        found = connection_settings(database, 0)
        read.append(found["password"])
        rotation.password()
        return found

    monkeypatch.setattr("rag_runtime.retrieve.logins.connection_settings", reading)
    async with await Logins(database).connect(0) as connection:
        assert connection.info.user == rotation.logins[1]
    assert len(read) == 2
    assert read[1] == NEW


async def test_a_login_of_another_database_is_never_fallen_back_on(laid: Laid) -> None:
    database = laid.config().database
    logins = Logins(database)
    await (await logins.connect(0)).close()
    folder = Path(laid.folder) / "database"
    (folder / "query-00.password").write_text("wrong")
    await (await logins.connect(0)).close()
    (folder / "dbname").write_text("template1")
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        await logins.connect(0)
