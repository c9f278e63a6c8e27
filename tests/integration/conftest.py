"""Rights that end-to-end tests leave to tests of here are in use by these, or the test fails."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.support.operator import World, eventually
from tests.support.rights import SHOWN_BY


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """After a test that passed: its operator has used what `SHOWN_BY` says of it, under the chart's roles."""
    result = yield
    test = item.nodeid.removeprefix("tests/").partition("[")[0]
    named = {right for right, shown_by in SHOWN_BY.items() if shown_by == test}
    if named:
        here = getattr(item, "funcargs", {})["here"]
        assert isinstance(here, World)
        eventually(lambda: named <= here.rights_used(), f"{test} uses {sorted(named)}")
    return result
