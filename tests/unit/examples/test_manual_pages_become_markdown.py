"""The quickstart's loader: roff in, Markdown out, the same archive for the same pages."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "examples" / "quickstart" / "load_manpages.py"
TAIL = r""".\" DO NOT MODIFY THIS FILE!
.TH TAIL "1" "September 2022" "GNU coreutils 9.1" "User Commands"
.SH NAME
tail \- output the last part of files
.SH SYNOPSIS
.B tail
[\fI\,OPTION\/\fR]... [\fI\,FILE\/\fR]...
.SH DESCRIPTION
.\" Add any additional description here
.PP
Print the last 10 lines of each FILE
to standard output.
.TP
\fB\-f\fR, \fB\-\-follow[=\fR{name|descriptor}]
output appended data as the file grows;
.SS "See also:"
.nf
  two\\  spaces
.fi
.BR head (1),
.IR "a b" \(aqc\(aq
"""


@pytest.fixture(scope="module")
def loader() -> ModuleType:
    spec = importlib.util.spec_from_file_location("load_manpages", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_page_of_the_man_macros(loader: ModuleType) -> None:
    assert loader.markdown(TAIL) == "\n".join(
        [
            "# tail(1)",
            "",
            "## NAME",
            "",
            "tail - output the last part of files",
            "",
            "## SYNOPSIS",
            "",
            "tail [OPTION]... [FILE]...",
            "",
            "## DESCRIPTION",
            "",
            "Print the last 10 lines of each FILE to standard output.",
            "",
            "- -f, --follow[={name|descriptor}]: output appended data as the file grows;",
            "",
            "### See also:",
            "",
            "      two\\  spaces",
            "head(1), a b'c'",
            "",
        ]
    )


def test_a_mere_reference_to_another_page_is_left_out(loader: ModuleType) -> None:
    assert loader.markdown(".so man1/bash.1\n") == ""


def test_a_folder_of_pages_is_written_out(tmp_path: Path) -> None:
    pages, output = tmp_path / "man1", tmp_path / "out"
    pages.mkdir()
    (pages / "tail.1.gz").write_bytes(gzip.compress(TAIL.encode()))
    (pages / "plain.1").write_text(TAIL)
    (pages / "README").write_text("no page")
    command = [sys.executable, str(SCRIPT), "--pages", str(pages), "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert sorted(path.name for path in output.iterdir()) == ["plain.1.md", "tail.1.md"]


def test_the_same_pages_are_the_same_bytes(loader: ModuleType) -> None:
    one, two = (loader.archive(pages) for pages in ({"a.md": "1", "b.md": "2"}, {"b.md": "2", "a.md": "1"}))
    assert one == two
    with tarfile.open(fileobj=io.BytesIO(one)) as tar:
        assert tar.getnames() == ["a.md", "b.md"]


def test_the_operators_image_is_found(loader: ModuleType) -> None:
    variables = [
        {"name": "RAG_OPERATOR_RUNTIME_IMAGE", "value": "r:1"},
        {"name": "RAG_OPERATOR_IMAGE_PULL_POLICY", "value": "Never"},
    ]
    spec = {"template": {"spec": {"containers": [{"env": variables}]}}}
    assert loader.released(json.dumps({"items": [{"spec": spec}]})) == ("r:1", "Never")
    with pytest.raises(SystemExit, match="install the chart first"):
        loader.released('{"items": []}')
