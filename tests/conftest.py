"""Fixtures by topic, as plugins."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.fixtures", "tests.cluster.fixtures"]

# A machine that is busy with other things makes no property false.
settings.register_profile("rag", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rag")
