"""Fixtures of ingestion's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.ingest.harness import Desk, make_desk
from tests.support.catalog import TestCatalog


@pytest.fixture
def desk(catalog: TestCatalog, tmp_path: Path) -> Desk:
    """A tenant with an empty folder of documents."""
    return make_desk(catalog, tmp_path)
