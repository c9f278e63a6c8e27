"""The frames between sandbox and worker: length and JSON; never pickle, for the worker has met hostile bytes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rag_runtime.ingest.parse.base import Parsed, ParseError, Section, UnsupportedMedia

LENGTH_BYTES = 4
MAX_ANSWER_BYTES = 256 * 1024 * 1024
"""Of one answer: 20 MB of text in JSON (a control character takes six) with its sections."""


def frame(value: dict[str, Any]) -> bytes:
    """A value as one frame."""
    data = json.dumps(value, ensure_ascii=False).encode()
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def parsed_to_wire(parsed: Parsed) -> dict[str, Any]:
    """A result as JSON-able value."""
    return asdict(parsed)


def error_to_wire(error: ParseError) -> dict[str, Any]:
    """An error as JSON-able value."""
    return {"reason": error.reason, "message": error.message}


def read_answer(data: bytes) -> Parsed:
    """The result in an answer. Raises the ParseError in it; ValueError, KeyError, TypeError when it is malformed."""
    value = json.loads(data)
    if "reason" in value:
        if value["reason"] == "Unsupported":
            raise UnsupportedMedia(str(value["message"]))
        raise ParseError(str(value["reason"]), str(value["message"]))
    sections = tuple(
        Section(tuple(map(str, one["heading_path"])), int(one["start"]), int(one["end"])) for one in value["sections"]
    )
    links = tuple(map(str, value["links"]))
    return Parsed(str(value["title"]), str(value["text"]), str(value["media_type"]), sections, links)
