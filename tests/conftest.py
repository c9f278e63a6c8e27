"""Fixtures by topic, as plugins."""

import inspect

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.fixtures", "tests.support.transports", "tests.cluster.fixtures"]

# A machine that is busy with other things makes no property false.
settings.register_profile("rag", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rag")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever an async test leaves open is blamed on it."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.fixturenames.insert(0, "nothing_left_open")
