"""The table of mutations, by what they are about."""

from __future__ import annotations

from tests.faults.mutations import (
    cluster,
    data,
    databases,
    drift,
    engine,
    ingestion,
    leadership,
    runs,
    scope,
    telling,
    volumes,
)
from tests.faults.mutations.mutation import Mutation

__all__ = ["MUTATIONS", "Mutation"]

MUTATIONS = (
    *engine.MUTATIONS,
    *cluster.MUTATIONS,
    *leadership.MUTATIONS,
    *data.MUTATIONS,
    *databases.MUTATIONS,
    *drift.MUTATIONS,
    *ingestion.MUTATIONS,
    *runs.MUTATIONS,
    *scope.MUTATIONS,
    *telling.MUTATIONS,
    *volumes.MUTATIONS,
)
