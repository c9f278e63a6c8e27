from __future__ import annotations

import io
import json
import logging

import pytest

from rag_runtime.logs import configure, context, fields


@pytest.fixture
def stream() -> io.StringIO:
    """What the root logger writes to, as configured by us."""
    return io.StringIO()


def test_each_line_has_the_context_and_its_own_fields(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    configure(stream=stream)
    log = logging.getLogger("rag_runtime.test")
    with context(tenant="rag/acme"):
        with context(revision=2):
            log.info("written: %s", "ü\n", extra=fields(chunks=3))
        try:
            raise ValueError("why")
        except ValueError:
            log.exception("failed")
    log.debug("not shown")
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert first["message"] == "written: ü\n"
    assert (first["tenant"], first["revision"], first["chunks"], first["level"]) == ("rag/acme", 2, 3, "info")
    assert first["time"].endswith("+00:00")
    assert "revision" not in second
    assert "ValueError: why" in second["error"]
