"""Which version a pipeline's pods run now: the pinned one, the operator's, or still the one before, until its turn.

What runs stands in the pipeline's status. A move is written there before any child changes, so that a crash between the
two starts no second one; who is first is decided on a list read from the API server, one decision at a time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rag_operator.api import names
from rag_operator.api.conditions import Conditions, ConditionStatus, ConditionType, Reason, find
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.pipeline_status import RagPipelineStatus, RuntimeMove
from rag_operator.build import runtime
from rag_operator.build.common import Release
from rag_operator.build.runtime import Runtime
from rag_operator.decide.checks import Check
from rag_operator.decide.pace import Standing, holdup, is_last, next_of, pods_fail, remaining
from rag_operator.engine import announce
from rag_operator.engine.context import Context
from rag_operator.engine.places import Places
from rag_operator.engine.queue import Key
from rag_operator.kube.client import Object
from rag_operator.kube.kinds import DEPLOYMENT, PIPELINE

_LISTED_FOR = timedelta(seconds=5)
"""How old the list of all pipelines may be; what this process itself has changed since makes it void."""
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Placed:
    """What a pipeline's pods run, and what its status says of that. `live` is the pipeline as it stands now."""

    live: Object
    runs: Runtime
    check: Check
    move: RuntimeMove | None = None
    left: float | None = None
    """Seconds that a move lasts still, where all is well so far."""

    @property
    def fields(self) -> dict[str, Any]:
        """Of the status."""
        move = self.move.to_dict() if self.move else None
        return {"runtimeVersion": self.runs.version or None, "runtimeImage": self.runs.image, "runtimeMove": move}

    def release(self, ours: Release) -> Release:
        """The release as this pipeline's builders take it."""
        return replace(ours, runtime_image=self.runs.image)


@dataclass(slots=True)
class Pace:
    """Moves pipelines to this operator's release one by one."""

    context: Context
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _listed: tuple[datetime, list[Standing]] | None = None

    def refusal(self, pipeline: RagPipeline) -> Check | None:
        """A pinned version that this operator can't run; pods stay as they are until that is mended."""
        pin = str(pipeline.spec.runtime_version)
        why = runtime.refusal(pin, self.context.settings.release) if pin else ""
        return Check(False, Reason.INVALID_SPEC, why) if why else None

    async def place(self, live: Object, pipeline: RagPipeline) -> Placed:
        """What its pods run from now on; a pipeline whose turn it is begins to move."""
        spec, status = pipeline.spec, pipeline.status
        aim = runtime.wanted(spec.query.image, str(spec.runtime_version), self.context.settings.release)
        runs = await self._running(pipeline)
        if runs is None or _at_once(pipeline, runs, aim):
            return Placed(live, aim, _settled(pipeline, aim))
        if runs.image == aim.image:
            move = status.runtime_move
            return Placed(live, aim, _moving(move, aim) if move else _settled(pipeline, aim), move)
        if status.runtime_move:
            return await self._begin(live, runs, aim)  # another upgrade, or a rollback, while it was under way
        async with self._lock:
            mine, everyone = standing(live, self.context.settings.release), await self._everyone()
            why = holdup(mine, everyone)
            if not why and is_last(mine, everyone):
                return Placed(live, aim, _settled(pipeline, aim))
            if not why:
                return await self._begin(live, runs, aim)
        return Placed(live, runs, Check(False, Reason.WAITING, f"waits to move to {_name(aim)}: {why}"))

    def judge(self, placed: Placed, conditions: Conditions) -> Placed:
        """End a move that has gone well for long enough, by the conditions of now; the next pipeline is woken."""
        move, now = placed.move, self.context.now()
        if move is None:
            return placed
        pause = timedelta(seconds=self.context.settings.rollout_pause_seconds)
        began = datetime.fromisoformat(move.started_at)
        left = remaining(conditions, began, pause, now)
        if left is None or left > timedelta(0):
            return replace(placed, left=left.total_seconds() if left else None)
        check = Check(True, Reason.AS_EXPECTED, f"query and ingestion pods run {_name(placed.runs)}")
        return replace(placed, move=None, check=check)

    async def over(self) -> None:
        """A move has ended, and that is written: the next pipeline looks at once, the others at their time."""
        async with self._lock:
            self._listed = None
            following = next_of(await self._everyone())
        if following is not None:
            self.context.queue.add(Key("pipeline", following.namespace, following.name))

    async def _running(self, pipeline: RagPipeline) -> Runtime | None:
        """As the status says; of pods that an operator made which wrote no such status, as their Deployment says."""
        status, meta = pipeline.status, pipeline.metadata
        if status.runtime_image:
            return Runtime(status.runtime_image, status.runtime_version or "")
        live = await self.context.api.get(DEPLOYMENT, meta.namespace, names.query(meta.name))
        if live is None:
            return None
        image = str(live["spec"]["template"]["spec"]["containers"][0]["image"])
        return Runtime(image, runtime.version_of(image) or _UNKNOWN)

    async def _begin(self, live: Object, runs: Runtime, aim: Runtime) -> Placed:
        self._listed = None
        now = self.context.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        move = RuntimeMove(previous=runs.version, started_at=now)
        begun = Placed(live, aim, _moving(move, aim), move)
        status = RagPipelineStatus.model_validate(live.get("status", {}))
        written = await announce.write(
            self.context, PIPELINE, live, RagPipelineStatus.model_validate(status.to_dict() | begun.fields)
        )
        await announce.tell(self.context, PIPELINE, live, Reason.ROLLING_OUT, begun.check.message)
        return replace(begun, live=written)

    async def _everyone(self) -> list[Standing]:
        now = self.context.now()
        if self._listed is None or now - self._listed[0] > _LISTED_FOR:
            lives = await Places(self.context.api, self.context.settings).list(PIPELINE)
            self._listed = now, [standing(live, self.context.settings.release) for live in lives]
        return self._listed[1]


def standing(live: Object, release: Release) -> Standing:
    """A pipeline among the others; one that is deleted, paused or invalid doesn't move, so nobody waits for it to."""
    meta, spec, status = (
        live["metadata"],
        live.get("spec", {}),
        RagPipelineStatus.model_validate(live.get("status", {})),
    )
    own_image, pin = spec.get("query", {}).get("image", ""), spec.get("runtimeVersion", "")
    aim = runtime.wanted(own_image, pin, release)
    served = status.runtime_image or (_UNKNOWN if status.endpoint else None)
    ready = find(status.conditions, ConditionType.READY)
    is_ready = ready is not None and ready.status is ConditionStatus.TRUE
    still = bool(spec.get("paused") or (ready and ready.reason == Reason.INVALID_SPEC))
    gone = bool(meta.get("deletionTimestamp"))
    own = bool(own_image) or bool(pin and pin != status.runtime_version)
    trouble = "paused" if spec.get("paused") else "" if ready is None or is_ready else str(ready.reason)
    return Standing(
        namespace=meta["namespace"],
        name=meta["name"],
        tenants=status.tenants.total if status.tenants else 0,
        ready=is_ready,
        waits=not (own or still or gone) and served not in (None, aim.image),
        moves=not (own or gone) and status.runtime_move is not None,
        trouble=Reason.PODS_FAILING if not trouble and pods_fail(status.conditions) else trouble,
    )


def _at_once(pipeline: RagPipeline, runs: Runtime, aim: Runtime) -> bool:
    """What an author asks for in the spec waits for nobody; nor do pods that could be told nothing any more."""
    if runs.image == aim.image:
        return False
    pinned_anew = bool(pipeline.spec.runtime_version) and aim.version != runs.version
    return not aim.version or not runs.version or pinned_anew or runtime.outdated(runs.version)


def _settled(pipeline: RagPipeline, runs: Runtime) -> Check:
    if pipeline.spec.query.image:
        return Check(True, Reason.AS_EXPECTED, "query and ingestion pods run the image of spec.query.image")
    pinned = ", pinned by spec.runtimeVersion" if pipeline.spec.runtime_version else ""
    return Check(True, Reason.AS_EXPECTED, f"query and ingestion pods run {_name(runs)}{pinned}")


def _moving(move: RuntimeMove, aim: Runtime) -> Check:
    message = (
        f"moves from {move.previous or 'another image'} to {_name(aim)}; the other pipelines wait until it is through"
    )
    return Check(None, Reason.ROLLING_OUT, message)


def _name(runs: Runtime) -> str:
    return runs.version or runs.image
