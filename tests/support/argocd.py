"""The health that Argo CD would show: the script of examples/argocd, run on a resource as Argo CD runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lupa.lua51
import yaml

SCRIPTS = Path(__file__).parents[2] / "examples" / "argocd" / "health.yaml"


def script_of(kind: str) -> str:
    """The script for RagPipeline or RagTenant."""
    return str(yaml.safe_load(SCRIPTS.read_text())["data"][f"resource.customizations.health.rag-operator.dev_{kind}"])


def health(live: dict[str, Any], script: str = "") -> tuple[str, str]:
    """Status and message of a RagPipeline or RagTenant. Argo CD's Lua is 5.1, and `obj` is the resource."""
    lua = lupa.lua51.LuaRuntime(register_eval=False)
    lua.globals()["obj"] = lua.table_from(live, recursive=True)
    said = lua.execute(script or script_of(live["kind"]))
    return str(said["status"]), str(said["message"])
