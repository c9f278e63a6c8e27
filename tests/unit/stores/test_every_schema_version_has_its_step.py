from __future__ import annotations

from rag_runtime.contract.catalog import CATALOG_VERSION
from rag_runtime.contract.migrations import CATALOG_STEPS, TENANT_STEPS
from rag_runtime.contract.tenant import TENANT_VERSION


def test_every_version_after_the_first_has_one_step_in_order() -> None:
    assert [step.version for step in CATALOG_STEPS] == list(range(2, CATALOG_VERSION + 1))
    assert [step.version for step in TENANT_STEPS] == list(range(2, TENANT_VERSION + 1))
