"""Structural OpenAPI schemas from the models: inlined, without $ref, null members or union defaults.

Walks the models itself rather than their JSON schema, because the API server takes a narrow dialect: one type per
node, defaults that descend into objects, list types for server-side apply, and rules as x-kubernetes-validations.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rag_operator.api.common import Checked, DateTime, ListMap, ListSet, StatusModel
from rag_operator.api.formats import Format
from rag_operator.api.rules import Rule, Transition, all_rules

Schema = dict[str, Any]
MAX_TEXT = 1024
_CHANGED_BY_ANY_EDIT = ("", "spec")
"""Elsewhere the API server passes over a rule by itself where the rule's object is unchanged. Here a resource that is
older than a rule could not be edited any more; by a rule at its root it could not even be let go."""
_ASKED = re.compile(r"\bhas\(self([.\w]+)\)")
_READ = re.compile(r"\bself((?:\.size\(\)|\.\w+\b(?!\())+)")
_SCALARS: dict[type, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int32"},
    str: {"type": "string"},
}


def resource_schema(model: type[BaseModel]) -> Schema:
    """The openAPIV3Schema of a resource, with its rules. Server-set metadata is left to Kubernetes."""
    spec, status = model.model_fields["spec"], model.model_fields["status"]
    schema: Schema = {
        "description": _text(model.__doc__),
        "type": "object",
        "required": ["metadata", "spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of this kind's schema."},
            "kind": {"type": "string", "description": "Kind of this resource."},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": _typed(spec.annotation, ()),
            "status": _typed(status.annotation, ()),
        },
    }
    for rule in all_rules(model.__name__):
        _attach(schema, rule)
    return schema


def object_schema(model: type[BaseModel]) -> Schema:
    """The schema of one model and everything in it."""
    # A status is written whole, so defaults would only add to it.
    written = issubclass(model, StatusModel)
    properties = {info.alias or name: _field(info, written) for name, info in model.model_fields.items()}
    for name, computed in model.model_computed_fields.items():
        properties[computed.alias or name] = _typed(computed.return_type, ()) | {
            "description": _text(computed.description)
        }
    schema: Schema = {"description": _text(model.__doc__), "type": "object", "properties": properties}
    if required := [info.alias or name for name, info in model.model_fields.items() if info.is_required()]:
        schema["required"] = required
    if issubclass(model, Checked):
        schema["x-kubernetes-validations"] = [{"rule": one.cel, "message": one.message} for one in model.invariants]
    return schema


def _field(info: FieldInfo, written: bool) -> Schema:
    schema = _typed(info.annotation, tuple(info.metadata))
    if info.description:
        schema["description"] = _text(info.description)
    default = None if written else _default(info)
    return schema if default is None else {"default": default} | schema


def _default(info: FieldInfo) -> Any:
    """The default as YAML, or None. An object's is {}: the defaults of its own fields fill it."""
    if info.is_required():
        return None
    value = info.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        fills = any(_default(field) is not None for field in type(value).model_fields.values())
        return {} if fills else None
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Format):
        return str(value)
    # Empty lists and maps say nothing that their absence doesn't.
    return None if isinstance(value, tuple | dict) else value


def _typed(annotation: Any, markers: tuple[Any, ...]) -> Schema:
    """The schema of a type with its constraints. Raises TypeError for what the API server's dialect can't say."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return _typed(inner, (*_flat(more), *markers))
    if origin in (Union, types.UnionType):
        (inner,) = (arg for arg in get_args(annotation) if arg is not type(None))
        return _typed(inner, markers)
    if origin is tuple:
        return {"type": "array", "items": _typed(get_args(annotation)[0], ())} | _list_markers(markers)
    if origin is Mapping:
        key, value = get_args(annotation)
        return _map(key, value, markers)
    if isinstance(annotation, type):
        return _plain(annotation, markers)
    raise TypeError(f"no structural schema for {annotation!r}")


def _plain(kind: type, markers: tuple[Any, ...]) -> Schema:
    if issubclass(kind, BaseModel):
        return object_schema(kind)
    if issubclass(kind, Format):
        return _format(kind)
    if issubclass(kind, StrEnum):
        return {"type": "string", "enum": [member.value for member in kind]}
    schema = dict(_SCALARS[kind])
    for marker in markers:
        schema |= _bound(marker, "Length")
        if isinstance(marker, DateTime):
            schema["format"] = "date-time"
    return schema


def _format(kind: type[Format]) -> Schema:
    form: Schema = {"x-kubernetes-int-or-string": True} if kind.int_or_string else {"type": "string"}
    form |= {"maxLength": kind.max_length, "pattern": kind.pattern}
    return form | ({"x-kubernetes-validations": [{"rule": kind.cel(), "message": kind.mend}]} if kind.spoken else {})


def _map(key: type, value: Any, markers: tuple[Any, ...]) -> Schema:
    schema: Schema = {"type": "object", "additionalProperties": _typed(value, ())}
    for marker in markers:
        schema |= _bound(marker, "Properties")
    if issubclass(key, Format):
        schema["x-kubernetes-validations"] = [{"rule": f"self.all(key, {key.cel('key')})", "message": key.mend}]
    return schema


def _list_markers(markers: tuple[Any, ...]) -> Schema:
    schema: Schema = {"x-kubernetes-list-type": "atomic"}
    for marker in markers:
        schema |= _bound(marker, "Items")
        if isinstance(marker, ListMap):
            schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [marker.key]}
        elif isinstance(marker, ListSet):
            schema |= {"x-kubernetes-list-type": "set"}
    return schema


def _bound(marker: Any, of: str) -> Schema:
    match marker:
        case annotated_types.Ge(ge=low):
            return {"minimum": low}
        case annotated_types.Le(le=high):
            return {"maximum": high}
        case annotated_types.MinLen(min_length=low):
            return {f"min{of}": low}
        case annotated_types.MaxLen(max_length=high):
            return {f"max{of}": high}
    return {}


def _flat(markers: list[Any]) -> list[Any]:
    return [part for marker in markers for part in (marker.metadata if isinstance(marker, FieldInfo) else (marker,))]


def _attach(schema: Schema, rule: Rule | Transition) -> None:
    node = schema
    for step in rule.at.split(".") if rule.at else []:
        node = node["properties"][step.removesuffix("[]")]
        if step.endswith("[]"):
            node = node["items"]
    entry: Schema = {"rule": rule.cel, "message": rule.message}
    if isinstance(rule, Rule) and rule.at in _CHANGED_BY_ANY_EDIT:
        entry |= {"rule": _unless_unchanged(rule.cel), "optionalOldSelf": True}
    if rule.field:
        entry["fieldPath"] = f".{rule.field}"
    node.setdefault("x-kubernetes-validations", []).append(entry)


def _unless_unchanged(cel: str) -> str:
    """The rule, or nothing of what it reads has changed. What it asks `has` of may be absent."""
    optional = set(_ASKED.findall(cel))
    same = [f"has(self{path}) == has(oldSelf.value(){path})" for path in sorted(optional)]
    for path in sorted(set(_READ.findall(_ASKED.sub("", cel)))):
        absent = "".join(f"!has(self{one}) || " for one in optional if path == one or path.startswith(f"{one}."))
        equal = f"{absent}self{path} == oldSelf.value(){path}"
        same.append(f"({equal})" if absent else equal)
    return f"(oldSelf.hasValue() && {' && '.join(same)}) || ({cel})"


def _text(doc: str | None) -> str:
    return " ".join((doc or "").split())
