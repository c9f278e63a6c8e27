"""From an object of the Kubernetes API to a checked model: what reconcile starts with."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from rag_operator.api.common import Model
from rag_operator.api.errors import InvalidSpec, Problem
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.rules import violations
from rag_operator.api.tenant import RagTenant

Resource = TypeVar("Resource", bound=Model)


def parse_pipeline(obj: Mapping[str, Any]) -> RagPipeline:
    """The RagPipeline that the object is. Raises InvalidSpec with every problem."""
    pipeline = _validate(RagPipeline, obj)
    if problems := violations(pipeline):
        raise InvalidSpec(problems)
    return pipeline


def parse_to_close(obj: Mapping[str, Any]) -> RagPipeline:
    """What of an invalid RagPipeline leads to its database, as if it were paused; the rest is left out.

    Raises InvalidSpec where that is what is invalid.
    """
    database = obj["spec"].get("database", {})
    reached = {"managed": {}} if "managed" in database else {k: v for k, v in database.items() if k == "secretRef"}
    policy = "Delete" if obj["spec"].get("deletionPolicy") == "Delete" else "Retain"
    return _validate(RagPipeline, {**obj, "spec": {"database": reached, "deletionPolicy": policy, "paused": True}})


def parse_tenant(obj: Mapping[str, Any]) -> RagTenant:
    """The RagTenant that the object is. Raises InvalidSpec with every problem."""
    tenant = _validate(RagTenant, obj)
    if problems := violations(tenant):
        raise InvalidSpec(problems)
    return tenant


def _validate(model: type[Resource], obj: Mapping[str, Any]) -> Resource:
    try:
        return model.model_validate(obj)
    except ValidationError as error:
        problems = [_problem(detail) for detail in error.errors(include_url=False)]
    mine = [problem for problem in problems if not problem.path.startswith("status")]
    if mine:
        raise InvalidSpec(mine)
    # A status is ours to write anew; one that an odd hand broke must not stop reconcile.
    return model.model_validate({key: value for key, value in obj.items() if key != "status"})


def _problem(detail: Any) -> Problem:
    return Problem(_path(detail["loc"]), _sentence(detail["type"], detail["msg"]))


def _path(loc: Iterable[int | str]) -> str:
    path = ""
    for step in loc:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def _sentence(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "unknown field: remove it"
    if kind == "missing":
        return "required: add it"
    return message.removeprefix("Value error, ")
