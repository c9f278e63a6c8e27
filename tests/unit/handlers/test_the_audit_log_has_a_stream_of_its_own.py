"""A14: audit lines are JSON on standard output, at every log level, marked so that a pipeline can route them."""

from __future__ import annotations

import json
import subprocess
import sys

from rag_operator.engine.audit import LOGGER

PROGRAM = f"""
import logging
from rag_operator.handlers import logs
logs.configure("error")
logging.getLogger("rag_operator.engine").info("not shown")
logging.getLogger("rag_operator.engine").error("shown")
fields = {{"audit": True, "action": "Promoted", "name": "acme"}}
logging.getLogger("{LOGGER}").info("revision 2 answers now", extra={{"fields": fields}})
"""


def test_an_audit_line_goes_to_standard_output_alone_whatever_the_level() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    (line,) = map(json.loads, done.stdout.splitlines())
    assert (line["audit"], line["action"], line["name"]) == (True, "Promoted", "acme")
    assert (line["message"], line["logger"]) == ("revision 2 answers now", LOGGER)
    (other,) = map(json.loads, done.stderr.splitlines())
    assert other["message"] == "shown"
    assert "audit" not in other
