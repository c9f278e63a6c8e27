"""A reconcile that fails again and again is told in the status of its resource, and not in the log alone.

What reconcilers know the meaning of they tell themselves, at once. This is for all else: a webhook that does not
answer, an API that is half down, a write that always meets another one, an error of our own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from pydantic import ValidationError

from rag_operator.api.conditions import Condition, Conditions, put
from rag_operator.api.errors import PermanentError, TransientError
from rag_operator.api.pipeline_status import RagPipelineStatus
from rag_operator.api.tenant import RagTenantStatus
from rag_operator.decide.failing import conditions, recovered
from rag_operator.engine import announce
from rag_operator.engine.context import Context
from rag_operator.engine.queue import Key
from rag_operator.kube.kinds import PIPELINE, TENANT

log = logging.getLogger(__name__)
TOLD_AFTER = 30.0
"""Seconds of failures without a success between them: what passes by itself within them is nobody's concern."""


class Failing:
    """Since when which resources fail, and of which that was told; of this term."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._since: dict[Key, float] = {}
        self._told: set[Key] = set()

    def begin_term(self) -> None:
        """Forget what an earlier term saw."""
        self._since.clear()
        self._told.clear()

    async def note(self, key: Key, why: str, now: float) -> None:
        """It failed, at this time in seconds of any clock: told where it has done so for a while."""
        if now - self._since.setdefault(key, now) >= TOLD_AFTER:
            self._told.add(key)
            await self._say(key, partial(conditions, why=why))

    async def over(self, key: Key) -> None:
        """A reconcile of it went through: most say how things stand; what was told of failures goes in any case."""
        self._since.pop(key, None)
        if key in self._told and await self._say(key, recovered):
            self._told.discard(key)

    async def _say(self, key: Key, what: Callable[[Conditions], tuple[Condition, ...]]) -> bool:
        kind, shape = (PIPELINE, RagPipelineStatus) if key.kind == "pipeline" else (TENANT, RagTenantStatus)
        try:
            live = await self._context.api.get(kind, key.namespace, key.name)
            if live is not None:
                old = shape.model_validate(live.get("status", {}))
                said = put(old.conditions, what(old.conditions), self._context.now())
                await announce.publish(self._context, kind, live, old.model_copy(update={"conditions": said}))
        except (TransientError, PermanentError, ValidationError) as error:
            log.warning("how its reconcile goes could not be told: %s", error, extra={"resource": str(key)})
            return False
        return True
