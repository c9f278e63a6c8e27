from __future__ import annotations

import ast
from pathlib import Path

import pytest

from rag_operator import api

ROOM = Path(api.__file__).parent
MODULES = [path for path in sorted(ROOM.glob("*.py")) if path.name != "__main__.py"]
EFFECTS = {"asyncio", "io", "os", "pathlib", "random", "secrets", "shutil", "socket", "subprocess", "time", "uuid"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_a_module_reads_no_clock_no_file_and_no_dice(module: Path) -> None:
    tree = ast.parse(module.read_text())
    names = {alias.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    names |= {(n.module or "").split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert not names & EFFECTS
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in ("now", "utcnow", "today")]
