"""JSON lines: one object a line, with the fields of `extra`. Standard error; the audit log is on standard output."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from rag_operator.engine.audit import LOGGER

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """A record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message, extras, and an exception's text."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD and _plain(value)}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(level: str) -> None:
    """Send all logging through one handler, libraries only from warnings on; the audit log, at any level, by itself."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("rag_operator").setLevel(level.upper())
    audit = logging.getLogger(LOGGER)
    audit.handlers = [logging.StreamHandler(sys.stdout)]
    audit.handlers[0].setFormatter(JsonLines())
    audit.setLevel(logging.INFO)
    audit.propagate = False


def _plain(value: object) -> bool:
    return isinstance(value, (str, int, float, bool))
