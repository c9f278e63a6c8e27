"""Admission webhooks, as policy engines and meshes register them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.operator import World


@contextmanager
def unanswered(here: World, group: str, resource: str) -> Iterator[str]:
    """A webhook that must be asked before such an object is made in this namespace, and does not answer; its name."""
    name = f"sidecars.{here.namespace}.example"
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}
    webhook = {
        "name": name,
        "rules": [rule],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": here.namespace}},
    }
    api, kind = "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"
    here.apply({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "webhooks": [webhook]})
    try:
        yield name
    finally:
        here.kubectl("delete", kind, name, "--ignore-not-found")
