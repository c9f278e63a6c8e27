"""As much of JSON Schema as pydantic writes, to hold real responses against the OpenAPI document."""

from __future__ import annotations

from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def problems(document: dict[str, Any], schema: dict[str, Any], value: Any, at: str = "$") -> list[str]:
    """What is wrong with `value`; fields that the schema doesn't name are wrong too."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        return problems(document, document["components"]["schemas"][name], value, at)
    if "anyOf" in schema:
        found = [problems(document, one, value, at) for one in schema["anyOf"]]
        return [] if any(not one for one in found) else found[0]
    if "const" in schema:
        return [] if value == schema["const"] else [f"{at}: {value!r} is not {schema['const']!r}"]
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, _TYPES[kind]) or (kind != "boolean" and isinstance(value, bool))):
        return [f"{at}: {value!r} is no {kind}"]
    if kind == "array":
        return [p for i, item in enumerate(value) for p in problems(document, schema["items"], item, f"{at}[{i}]")]
    return _object(document, schema, value, at) if kind == "object" else []


def _object(document: dict[str, Any], schema: dict[str, Any], value: dict[str, Any], at: str) -> list[str]:
    named, more = schema.get("properties", {}), schema.get("additionalProperties", False)
    found = [f"{at}.{name} is missing" for name in schema.get("required", ()) if name not in value]
    for name, item in value.items():
        if name in named:
            found += problems(document, named[name], item, f"{at}.{name}")
        elif isinstance(more, dict):
            found += problems(document, more, item, f"{at}.{name}")
        elif more is not True:
            found.append(f"{at}.{name} is not in the schema")
    return found
