"""Debian's redis-server for tests and benches, in clear and over TLS."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.certificates import Authority
from tests.support.postgres import free_port


@dataclass(frozen=True)
class RedisServer:
    """A running redis-server with a password: its URLs in clear and over TLS, and the authority of the latter."""

    url: str
    tls_url: str
    authority: Path


@contextmanager
def running() -> Iterator[RedisServer]:
    """A redis-server with a password, for as long as the body runs."""
    program = shutil.which("redis-server")
    assert program, "redis-server is missing: `make test` installs it from Debian's packages"
    port, tls_port = free_port(), free_port()
    home = Path(tempfile.mkdtemp(prefix="rag-redis-"))
    authority = Authority(home / "pki")
    authority.create()
    authority.sign("redis", "redis", hosts=["127.0.0.1"])
    settings = {
        "port": str(port),
        "tls-port": str(tls_port),
        "tls-cert-file": str(authority.crt("redis")),
        "tls-key-file": str(authority.key("redis")),
        "tls-ca-cert-file": str(authority.crt("ca")),
        "tls-auth-clients": "no",
        "bind": "127.0.0.1",
        "save": "",
        "dir": str(home),
        "requirepass": "secret",
    }
    command = [program, *(part for name, value in settings.items() for part in (f"--{name}", value))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        wait_for_port(tls_port)
        yield RedisServer(
            f"redis://:secret@127.0.0.1:{port}/0", f"rediss://:secret@127.0.0.1:{tls_port}/0", authority.crt("ca")
        )
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def wait_for_port(port: int, seconds: float = 60) -> None:
    """Return when 127.0.0.1:port accepts; TimeoutError after `seconds`."""

    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing listens on 127.0.0.1:{port}") from None
            time.sleep(0.02)
