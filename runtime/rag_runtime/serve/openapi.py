"""`/openapi.json`, written by hand around the schemas that validate requests and shape responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from rag_runtime.serve import schemas

REQUESTS = (schemas.QueryRequest, schemas.SearchRequest, schemas.ChatRequest)
RESPONSES = (
    schemas.QueryResponse,
    schemas.SearchResponse,
    schemas.ChatResponse,
    schemas.ModelList,
    schemas.ErrorResponse,
)
ERRORS = {
    "400": "The body is not JSON",
    "401": "No API key, or one of no answering tenant",
    "413": "The body is too large",
    "422": "A field breaks a rule; `error.field` names it",
    "500": "A fault of the service; the log has the request id",
    "503": "Nothing can answer now; `Retry-After` says when to ask again",
}
_REF = "#/components/schemas/{model}"


def document(version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the query service."""
    _, definitions = models_json_schema(
        [(model, "validation") for model in REQUESTS] + [(model, "serialization") for model in RESPONSES],
        ref_template=_REF,
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "rag-operator query service", "version": version},
        "security": [{"bearer": []}, {"header": []}],
        "paths": _paths(),
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _paths() -> dict[str, Any]:
    return {
        "/v1/query": _post(
            "An answer with its sources", schemas.QueryRequest, schemas.QueryResponse, ("sources", "text", "done")
        ),
        "/v1/search": _post("Passages, without an answer", schemas.SearchRequest, schemas.SearchResponse),
        "/v1/chat/completions": _post(
            "OpenAI's chat completions", schemas.ChatRequest, schemas.ChatResponse, ("chat.completion.chunk",)
        ),
        "/v1/models": {
            "get": {
                "summary": "The model that answers",
                "responses": {"200": _json("The list", schemas.ModelList)} | _errors("401", "500", "503"),
            }
        },
        "/healthz": _open("Whether the process lives", "200"),
        "/readyz": _open("Whether requests may be sent here", "200", "503"),
        "/metrics": _open("Prometheus's text format", "200"),
        "/openapi.json": _open("This document", "200"),
    }


def _post(summary: str, body: type[BaseModel], response: type[BaseModel], events: Sequence[str] = ()) -> dict[str, Any]:
    success = _json(summary, response)
    if events:
        told = f"With `stream: true`: server-sent events ({', '.join(events)})"
        success["content"]["text/event-stream"] = {"schema": {"type": "string", "description": told}}
    success["headers"] = {"x-request-id": {"schema": {"type": "string"}}}
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": {"schema": _schema(body)}}},
            "responses": {"200": success} | _errors(*ERRORS),
        }
    }


def _open(summary: str, *statuses: str) -> dict[str, Any]:
    return {"get": {"summary": summary, "security": [], "responses": {s: {"description": summary} for s in statuses}}}


def _errors(*statuses: str) -> dict[str, Any]:
    return {status: _json(ERRORS[status], schemas.ErrorResponse) for status in statuses}


def _json(description: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _schema(model)}}}


def _schema(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}
