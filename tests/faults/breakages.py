"""What a person may break, in a spec that the API server takes or in what it names, and the reason that is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.harness import Stage
from tests.support.operator import pipeline, tenant

ENDPOINT = {"baseURL": "http://models.example.test:8080/v1", "secretRef": {"name": "absent"}}


@dataclass(frozen=True, slots=True)
class Breakage:
    """One mistake."""

    name: str
    act: Callable[[Stage], None]
    reason: str


def _spec(name: str, reason: str, **spec: Any) -> Breakage:
    return Breakage(name, lambda on: on.apply(pipeline(**spec)), reason)


def _tenant(name: str, reason: str, **spec: Any) -> Breakage:
    return Breakage(name, lambda on: on.apply(tenant(**spec)), reason)


def _gone(what: str) -> Callable[[Stage], None]:
    return lambda on: _done(on.here.kubectl("delete", *what.split("/")))


def _done(_: str) -> None:
    """kubectl's words."""


def _elsewhere(on: Stage) -> None:
    secret = on.database_secret()
    secret["stringData"]["dbname"] = "not_there"
    on.apply(secret)


def _wrong_password(on: Stage) -> None:
    secret = on.database_secret()
    secret["stringData"]["password"] = "wrong"
    on.apply(secret)


BREAKAGES = (
    Breakage("the database's Secret is deleted", _gone("secret/db"), "SecretNotFound"),
    Breakage("the Secret leads to a database that is not there", _elsewhere, "DatabaseUnsuitable"),
    Breakage("the Secret has a wrong password", _wrong_password, "DatabaseUnreachable"),
    Breakage("the source is deleted", _gone("configmap/handbook"), "SourceNotFound"),
    _spec(
        "a database's Secret is named that is not there", "SecretNotFound", database={"secretRef": {"name": "absent"}}
    ),
    _spec(
        "a catalog is named that is not there",
        "CatalogMismatch",
        database={"secretRef": {"name": "db"}, "adopt": "5d1c0f6e-58cd-4e7a-9d5c-0b0a5f3f8a11"},
    ),
    _spec("a cache's Secret is named that is not there", "SecretNotFound", cache={"secretRef": {"name": "absent"}}),
    _spec("a cache's Secret has no url", "SecretInvalid", cache={"secretRef": {"name": "models"}}),
    _spec(
        "a model's Secret is named that is not there",
        "SecretNotFound",
        llm={"models": [{"model": "own", "endpoint": ENDPOINT}]},
    ),
    _spec(
        "an embedder's Secret is named that is not there",
        "SecretNotFound",
        embedding={"endpoint": ENDPOINT, "model": "own", "dimensions": 8},
    ),
    _spec(
        "the pods' limits are below their requests",
        "Refused",
        query={"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}},
    ),
    _spec("the time zone is none", "Refused", ingestion={"timeZone": "Europe/Nowhere"}),
    _tenant(
        "a source is named that is not there",
        "SourceNotFound",
        sources=[{"name": "handbook", "configMapRef": {"name": "absent"}}],
    ),
    _tenant(
        "a claim is named that is not there",
        "SourceNotFound",
        sources=[{"name": "handbook", "volume": {"claimRef": {"name": "absent"}}}],
    ),
)
