from __future__ import annotations

from tests.integration.operator.conftest import crds, here, own_server

__all__ = ["crds", "here", "own_server"]
