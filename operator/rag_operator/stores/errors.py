"""Trouble with a store, as the engine wants it: a reason for the condition, a sentence that says the mend."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import psycopg
from psycopg import errors

from rag_operator.api.conditions import Reason
from rag_operator.api.errors import PermanentError, TransientError
from rag_operator.stores.address import DatabaseAddress, StoreProblem

__all__ = ["QueryLoginNeeded", "StoreProblem", "StoreTrouble", "Superseded", "translated"]


class StoreTrouble(TransientError):  # noqa: N818  it names the finding, and reads as one
    """May pass by itself. `reason` is for the condition; `retry_after` in seconds where it is known."""

    def __init__(
        self, message: str, reason: Reason = Reason.DATABASE_UNREACHABLE, retry_after: float | None = None
    ) -> None:
        super().__init__(message, retry_after)
        self.reason = reason


class Superseded(StoreTrouble):
    """Another operator leads this catalog: whatever this one wanted to write must not be written."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Reason.WAITING)


class QueryLoginNeeded(StoreTrouble):
    """All query logins have their readers: the engine makes the Secret of `shard`, then its login, then tries again."""

    def __init__(self, shard: int) -> None:
        super().__init__(f"a query login for shard {shard} is being made", Reason.WAITING)
        self.shard = shard


_REFUSED = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|not permitted to log in|"
    r"role \".*\" does not exist"
)
_NO_DATABASE = re.compile(r"database \".*\" does not exist")
_UNTRUSTED = re.compile(r"certificate verify failed|does not match host name")
_OTHER_WRITER = re.compile(r"^tuple concurrently (updated|deleted)")
_BUSY = (errors.LockNotAvailable, errors.QueryCanceled, errors.SerializationFailure, errors.DeadlockDetected)
_ABOUT_ITSELF = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.UndefinedObject,
    errors.InvalidSchemaName,
    errors.InternalError_,
    errors.DataCorrupted,
    errors.IndexCorrupted,
)
"""They name relations, functions, roles and blocks of files."""


@contextlib.contextmanager
def translated(address: DatabaseAddress) -> Iterator[None]:
    """Turn psycopg's errors, whichever, and expired deadlines into ours."""
    try:
        yield
    except (PermanentError, TransientError):
        raise
    except TimeoutError as error:
        raise StoreTrouble(f"database {address.where} did not answer in time; it is tried again") from error
    except psycopg.Error as error:
        raise _ours(error, address) from error


def _ours(error: psycopg.Error, address: DatabaseAddress) -> StoreProblem | StoreTrouble:
    said = _first_line(error)
    if isinstance(error, errors.InsufficientPrivilege):
        return StoreProblem(
            Reason.MISSING_PRIVILEGE,
            f"database {address.where}: login {address.username} lacks a right: {said}; grant it, or name in "
            f"{address.source} the login that owns this catalog",
        )
    if isinstance(error, errors.DependentObjectsStillExist):
        return StoreProblem(
            Reason.ROLE_TAKEN,
            f"database {address.where}: {said} ({error.diag.message_detail or 'no detail'}); "
            "revoke the rights that were granted to it by hand",
        )
    if isinstance(error, _BUSY):
        return StoreTrouble(f"database {address.where} was busy: {said}; it is tried again")
    if isinstance(error, errors.UniqueViolation) or _OTHER_WRITER.search(said):
        return StoreTrouble(f"database {address.where}: another writer was first: {said}", Reason.RECONCILING)
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return StoreTrouble(
            f"database {address.where} is read-only: end its recovery, set default_transaction_read_only off for it "
            f"and for login {address.username}, or name another server in {address.source}; it is tried again",
            Reason.DATABASE_UNSUITABLE,
        )
    if isinstance(error, psycopg.OperationalError):
        return _unreachable(said, address)
    return _unsuitable(error, address)


def _unsuitable(error: psycopg.Error, address: DatabaseAddress) -> StoreTrouble:
    """Of what may be anything only such words are passed on as never hold a value."""
    what = _first_line(error) if isinstance(error, _ABOUT_ITSELF) else "its log says what"
    return StoreTrouble(
        f"database {address.where} can't do what is needed: {what} ({type(error).__name__}); repair what is missing or "
        "damaged there, or restore a backup; it is tried again",
        Reason.DATABASE_UNSUITABLE,
    )


def _unreachable(said: str, address: DatabaseAddress) -> StoreTrouble:
    if _REFUSED.search(said):
        return StoreTrouble(
            f"database {address.where} refused login {address.username}: {said}; correct username and password in "
            f"{address.source}"
        )
    if _NO_DATABASE.search(said):
        return StoreTrouble(
            f"database {address.where}: {said}; create it, or correct dbname in {address.source}",
            Reason.DATABASE_UNSUITABLE,
        )
    if _UNTRUSTED.search(said):
        return StoreTrouble(
            f"database {address.where} is not trusted: {said}; give its authority's PEM certificates under the key ca, "
            f"and under host the name that its certificate has, in {address.source}"
        )
    return StoreTrouble(f"database {address.where} can't be reached: {said}; it is tried again")


def _first_line(error: psycopg.Error) -> str:
    text = error.diag.message_primary or str(error) or type(error).__name__
    return " ".join(text.split())[:400]
