"""A world whose operator reaches API server, Postgres and Redis through wires that can be told to fail."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import yaml
from psycopg.sql import SQL, Identifier
from redis import Redis
from yarl import URL

from rag_runtime.caches.keys import answer_key, version_key
from tests.faults.api_wire import ApiWire
from tests.faults.oracle import objects, snapshot
from tests.faults.redis_wire import RedisWire
from tests.faults.script import Script
from tests.faults.sql_wire import SqlWire
from tests.support import rights
from tests.support.operator import COLLECTED, OperatorProcess, World, eventually, secret

RESYNC_SECONDS = 2
QUIET_SECONDS = 2 * RESYNC_SECONDS + 1.0
"""Two resyncs without a write: settled."""
PATIENCE = 180.0
"""Seconds: a bound for what hangs."""
_terms = itertools.count()


@dataclass(slots=True)
class Stage:
    """One namespace, one database, one operator at a time, all its calls on the wires."""

    here: World
    dsn: str
    script: Script
    through: World
    wire: ApiWire
    sql: SqlWire
    redis: RedisWire
    redis_url: str
    """Past the wire."""
    laid: dict[str, str] = field(default_factory=dict)
    """Keys that were put into Redis, and what each is."""

    def start(self, lease: str = "", workers: str = "") -> OperatorProcess:
        """A new operator process. It has a Lease of its own unless told: nobody waits for the term of a dead one."""
        if self.script.dead.is_set():
            last = self.through.replicas[-1]
            eventually(lambda: self.script.killed.is_set() and not last.lives(), "the end of the former process")
        self.script.revive()
        name = self.lease(lease or str(next(_terms)))
        rights.let_lead(self.here.api, self.here.namespace, name)
        replica = self.through.operator(
            resync_seconds=str(RESYNC_SECONDS),
            login_grace_seconds="1",
            lease_name=name,
            workers=workers,
        )
        if len(self.through.replicas) == 1 or not lease:
            self.script.kill = replica.kill
            self.script.freeze = lambda: replica.send(signal.SIGSTOP)
        return replica

    def lease(self, name: str) -> str:
        """A Lease's name of this stage's own: those of all tests are in one namespace."""
        return f"{self.here.namespace}-{name}"

    def start_again(self) -> None:
        """Another process in place of the one that runs: all connections are made anew."""
        self.through.replicas[-1].stop(signal.SIGKILL)
        self.start()

    def thaw(self) -> None:
        """Let the frozen process go on, and its write arrive."""
        self.through.replicas[0].send(signal.SIGCONT)
        self.script.thawed.set()

    def apply(self, *documents: dict[str, Any]) -> None:
        """A person's change, past the wires."""
        self.here.apply(*documents)

    def database_secret(self) -> dict[str, Any]:
        """The Secret that leads to the database through its wire."""
        parts = dict(part.split("=", 1) for part in self.dsn.split()) | {"port": str(self.sql.port)}
        return self.here.database_secret(" ".join(f"{key}={value}" for key, value in parts.items()))

    def redis_secret(self) -> dict[str, Any]:
        """The Secret that leads to Redis through its wire."""
        url = URL(self.redis_url).with_port(self.redis.port)
        return secret("redis", {"url": str(url)})

    @property
    def ports(self) -> dict[int, str]:
        """The wires', by what is behind."""
        return {self.sql.port: "DATABASE", self.redis.port: "CACHE"}

    def fill_cache(self, schema: str) -> None:
        """What query pods keep of the tenant of this schema, and of another one."""
        catalog = f"rag_{self.here.catalog().hex[:12]}"
        with psycopg.connect(self.dsn) as admin, Redis.from_url(self.redis_url) as redis:
            admin.execute(SQL("SET ROLE {}").format(Identifier(f"{catalog}_owner")))
            asked = SQL("SELECT id FROM {}.tenant WHERE schema = %s").format(Identifier(catalog))
            ((mine,),) = admin.execute(asked, [schema]).fetchall()
            for tenant, whose in ((mine, "the tenant's"), (uuid4(), "another's")):
                self.laid[answer_key(tenant, "config", "token", ["*"], "question")] = f"redis answer, {whose}"
                self.laid[version_key(tenant)] = f"redis version, {whose}"
            for key in self.laid:
                redis.set(key, b"1", ex=3600)

    def cached(self) -> list[str]:
        """What stands of that."""
        with Redis.from_url(self.redis_url) as redis:
            return sorted(what for key, what in self.laid.items() if redis.exists(key))

    def settled(self, goal: Callable[[], bool]) -> list[str]:
        """Wait until the goal holds, no owner is missing, and two resyncs pass without a write; what stands then."""
        try:
            eventually(goal, "the scenario's goal", PATIENCE)
            eventually(lambda: not _ownerless(self.here), "the garbage collector", PATIENCE + COLLECTED)
            eventually(self._silence(), "two resyncs without a write", PATIENCE)
        except AssertionError as error:
            error.add_note("\n".join(self.script.trace[-15:]))
            error.add_note(self.through.logs()[-5000:])
            raise
        return snapshot(self.here, self.dsn, self.ports) + self.cached()

    def wait_for_the_fault(self, goal: Callable[[], bool]) -> None:
        """Until the fault has happened, or all is over without (fewer writes than in the reference)."""
        silence = self._silence()
        eventually(lambda: self.script.struck() or (goal() and silence()), "the fault", PATIENCE)
        self.script.disarm()
        eventually(lambda: self.script.struck() or not self.script.fired, "the end of the process")

    def _silence(self) -> Callable[[], bool]:
        """Whether nothing has been written for long enough from now on, with two resyncs, and nobody is at work."""
        taken, since, seen = self.script.taken, time.monotonic(), self._resyncs()

        def look() -> bool:
            nonlocal taken, since, seen
            resyncs = self._resyncs()
            if self.script.taken != taken or seen is None:
                taken, since, seen = self.script.taken, time.monotonic(), resyncs
            quiet = time.monotonic() - since >= QUIET_SECONDS and not self.script.under_way
            return quiet and seen is not None and resyncs is not None and resyncs >= seen + 2

        return look

    def _resyncs(self) -> float | None:
        """Those that were carried out by the processes that run; None while one does not answer, or leads and works."""
        running = [replica for replica in self.through.replicas if replica.lives() and not replica.is_stopped()]
        scrapes = [replica.scrape() for replica in running]
        if not all(scrape.is_idle() or (scrape.samples and not scrape.of("rag_operator_leader")) for scrape in scrapes):
            return None
        return sum(scrape.of("rag_operator_resync_seconds_count") for scrape in scrapes)

    def has(self, *children: str) -> bool:
        """Whether all of these, as `kind/name`, are there."""
        return self.here.has(*children)

    def reason(self, kind: str, name: str, condition: str) -> str:
        """The reason of a condition, empty when there is none."""
        return str(self.here.condition(kind, name, condition).get("reason", ""))


@contextmanager
def stage(here: World, dsn: str, redis_url: str, folder: Path) -> Iterator[Stage]:
    """The wires in a thread of their own; the world's operators use them."""
    script = Script()
    api = ApiWire(here.kubeconfig, script)
    port = int(dict(part.split("=", 1) for part in dsn.split())["port"])
    sql = SqlWire(port, script)
    redis = RedisWire(URL(redis_url).port or 0, script)
    with _loop() as run:
        run(api.start())
        run(sql.start())
        run(redis.start())
        plain = yaml.safe_load(here.kubeconfig.read_text())
        plain["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{api.port}"}
        plain["users"][0]["user"] = {"token": "given-by-the-wire"}
        path = folder / "through-the-wire.kubeconfig"
        path.write_text(json.dumps(plain))
        through = World(here.api, here.namespace, folder, path, here.user)
        try:
            yield Stage(here, dsn, script, through, api, sql, redis, redis_url)
        finally:
            for replica in through.replicas:
                replica.stop(signal.SIGKILL)
            run(api.close())
            run(sql.close())
            run(redis.close())
            script.thawed.set()


def _ownerless(here: World) -> list[str]:
    """What the garbage collector has still to remove, or to release: it names an owner that is gone."""
    items = objects(here)
    uids = {item["metadata"]["uid"] for item in items}
    owned = [(item, owner) for item in items for owner in item["metadata"].get("ownerReferences", [])]
    return [f"{item['kind']} {item['metadata']['name']}" for item, owner in owned if owner["uid"] not in uids]


@contextmanager
def _loop() -> Iterator[Callable[[Any], Any]]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)
    finally:
        asyncio.run_coroutine_threadsafe(_end_tasks(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end_tasks() -> None:
    """What still hangs on a line, such as a watch that was told to be silent."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
