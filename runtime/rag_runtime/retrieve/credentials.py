"""Where Postgres is and how to log in: files of a mounted Secret, read anew at each connection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rag_runtime.contract.config import Database
from rag_runtime.contract.names import query_credential
from rag_runtime.retrieve.errors import DatabaseUnavailableError
from rag_runtime.trust import server_trust

CONNECT_SECONDS = 3
"""libpq counts in whole seconds and not below 2."""


def query_shards(settings: Database) -> list[int]:
    """Shards whose query login this pod was given, ascending. Raises DatabaseUnavailableError when there is none."""
    folder = Path(settings.credentials)
    stems = [file.name.removesuffix(".username") for file in folder.glob("query-*.username")]
    shards = sorted(int(stem.removeprefix("query-")) for stem in stems if stem.removeprefix("query-").isdigit())
    if not shards:
        raise DatabaseUnavailableError(f"database.credentials: {folder} holds no query-NN.username")
    return shards


def connection_settings(settings: Database, shard: int) -> Mapping[str, str | int | bool | None]:
    """Keyword arguments of a connection as the query login of `shard`, all of one state of the mounted Secret.

    Raises DatabaseUnavailableError.
    """
    folder = Path(settings.credentials)
    state = _state(folder)
    stem = query_credential(shard)
    try:
        found: dict[str, str | int | bool | None] = {
            "host": _read(state / "host"),
            "port": _read(state / "port"),
            "dbname": _read(state / "dbname"),
            "user": _read(state / f"{stem}.username"),
            "password": _read(state / f"{stem}.password"),
        }
        if (state / "sslmode").exists():
            found["sslmode"] = _read(state / "sslmode")
    except OSError as error:
        if _state(folder) != state:
            return connection_settings(settings, shard)
        raise DatabaseUnavailableError(
            f"database.credentials: cannot read {error.filename}: {error.strerror}"
        ) from error
    return {
        **found,
        **server_trust(folder, str(found.get("sslmode", ""))),
        "application_name": "rag-runtime serve",
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "autocommit": True,
        "prepare_threshold": None,
    }


def _state(folder: Path) -> Path:
    """The folder that a kubelet put in place whole, by one link, and takes away once there is a newer one."""
    link = folder / "..data"
    return link.resolve() if link.exists() else folder


def _read(file: Path) -> str:
    return file.read_text().strip()
