"""What the API server writes down: every write, every read of a Secret, and every call of a service account.

With that, tests count writes per user (an idle operator makes none) and compare the rights that a service account
used with those that it was granted. Never a body: metadata names objects and says nothing of their content.
"""

from __future__ import annotations

from typing import Any

_READS = ["get", "list", "watch"]
_WRITES = ["create", "update", "patch", "delete", "deletecollection"]

AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [
        {"level": "Metadata", "verbs": _READS, "resources": [{"group": "", "resources": ["secrets"]}]},
        # The cluster's own controllers and nodes: their reads say nothing about the product.
        {"level": "None", "verbs": _READS, "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "Metadata", "verbs": _WRITES},
        {"level": "None"},
    ],
}
