"""What goes over the wire to Postgres: vectors, ACLs, credentials."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from rag_runtime.contract.config import Database
from rag_runtime.retrieve import credentials
from rag_runtime.retrieve.credentials import connection_settings, query_shards
from rag_runtime.retrieve.database import acl_literal
from rag_runtime.retrieve.errors import DatabaseUnavailableError
from rag_runtime.retrieve.vectors import wire_vector


def test_a_halfvec_is_two_bytes_a_number_and_a_vector_four() -> None:
    vector = np.array([1.0, -0.5], np.float32)
    assert wire_vector(vector, "halfvec").payload == struct.pack(">hhee", 2, 0, 1.0, -0.5)
    assert wire_vector(vector, "vector").payload == struct.pack(">hhff", 2, 0, 1.0, -0.5)


def test_an_acl_entry_cannot_break_out_of_the_literal() -> None:
    assert acl_literal(["*"]) == '{"*"}'
    assert acl_literal(['a","board', "back\\slash"]) == '{"a\\",\\"board","back\\\\slash"}'


def secret(folder: Path, **more: str) -> Database:
    files = {"host": "db\n", "port": "5432", "dbname": "rag", "query-03.username": "q3", "query-03.password": "p\n"}
    for name, text in (files | more).items():
        (folder / name).write_text(text)
    return Database(credentials=PurePosixPath(folder), schema_="c")


def test_credentials_are_read_as_they_are_now(tmp_path: Path) -> None:
    database = secret(tmp_path, ca="certificate")
    assert query_shards(database) == [3]
    assert connection_settings(database, 3)["password"] == "p"
    assert connection_settings(database, 3)["sslrootcert"] == str(tmp_path / "ca")
    (tmp_path / "query-03.password").write_text("rotated")
    assert connection_settings(database, 3)["password"] == "rotated"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    database = secret(tmp_path)
    with pytest.raises(DatabaseUnavailableError, match=r"query-04\.username"):
        connection_settings(database, 4)


def test_a_folder_without_logins_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match=r"query-NN\.username"):
        query_shards(Database(credentials=PurePosixPath(tmp_path), schema_="c"))


def test_user_and_password_are_of_one_state_of_the_mounted_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kubelet writes a folder, moves the link `..data` to it and takes the former one away."""

    def state(name: str, login: str) -> None:
        folder = tmp_path / name
        folder.mkdir()
        secret(folder, **{"query-03.username": login, "query-03.password": f"of-{login}"})

    def swap(name: str) -> None:
        (tmp_path / "..new").symlink_to(name)
        (tmp_path / "..new").replace(tmp_path / "..data")

    state("..first", "a")
    swap("..first")
    for file in (tmp_path / "..first").iterdir():
        (tmp_path / file.name).symlink_to(f"..data/{file.name}")
    state("..second", "b")
    reading = credentials._read

    def then_swapped(file: Path) -> str:
        found = reading(file)
        if file.name == "query-03.username" and found == "a":
            swap("..second")
            if taken_away:
                shutil.rmtree(tmp_path / "..first")
        return found

    monkeypatch.setattr(credentials, "_read", then_swapped)
    database = Database(credentials=PurePosixPath(tmp_path), schema_="c")
    taken_away = False
    found = connection_settings(database, 3)
    assert (found["user"], found["password"]) == ("a", "of-a")
    swap("..first")
    taken_away = True
    found = connection_settings(database, 3)
    assert (found["user"], found["password"]) == ("b", "of-b")
