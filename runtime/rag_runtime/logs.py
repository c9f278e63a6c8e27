"""Logs as JSON lines, with the fields of the work at hand on every line; shared by `serve` and `ingest`.

Never a secret, a question's text or a document's text above debug.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

_CONTEXT: ContextVar[Mapping[str, object]] = ContextVar("log_context")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, the fields of `context` and of `fields`, error."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _CONTEXT.get({})
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TerminalFormatter(logging.Formatter):
    """For a person at a terminal: the level only when it matters, then the sentence and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        extra: Mapping[str, object] = getattr(record, "fields", {})
        shown = " ".join(f"{name}={value}" for name, value in extra.items())
        line = f"{level}{record.getMessage()}" + (f"  ({shown})" if shown else "")
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(*, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all logs to `stream` (stderr): JSON lines, or plain ones when it is a terminal."""
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(TerminalFormatter() if target.isatty() else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "openai", "asyncio", "pypdf"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@contextmanager
def context(**fields: object) -> Iterator[None]:
    """Put `fields` (pipeline, tenant, revision, …) on every line that is logged within, also by tasks begun there."""
    token = _CONTEXT.set({**_CONTEXT.get({}), **fields})
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def fields(**values: object) -> dict[str, Any]:
    """The `extra` argument of a log call: `log.info("…", extra=fields(added=3))`."""
    return {"fields": values}
