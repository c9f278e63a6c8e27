"""What the port counts."""

from __future__ import annotations

from prometheus_client import Counter

CALLS = Counter("rag_operator_api_calls_total", "Calls to the Kubernetes API server.", ["verb", "resource"])
APPLIES = Counter("rag_operator_applies_total", "Server-side applies by kind: those that were needed.", ["kind"])
EVENTS = Counter("rag_operator_events_total", "Kubernetes Events written, by reason.", ["reason"])
