"""Fixtures by topic, as plugins."""

pytest_plugins = ["tests.support.fixtures", "tests.cluster.fixtures"]
