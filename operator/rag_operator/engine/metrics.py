"""What the engine measures."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter("rag_operator_reconciles_total", "Reconciles by kind and outcome.", ["kind", "outcome"])
DURATION = Histogram(
    "rag_operator_reconcile_seconds",
    "Duration of a reconcile.",
    ["kind"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120),
)
QUEUE_DEPTH = Gauge("rag_operator_queue_depth", "Keys that wait for a worker.")
QUEUE_AGE = Gauge("rag_operator_queue_age_seconds", "Age of the oldest waiting key.")
LEADER = Gauge("rag_operator_leader", "1 while this replica leads.")
STATUS_WRITES = Counter("rag_operator_status_writes_total", "Status writes by kind.", ["kind"])
PROMOTIONS = Counter("rag_operator_promotions_total", "Revisions promoted.")
WATCH_STALE = Gauge("rag_operator_watch_stale_objects", "Objects that a list shows and the watch has not delivered.")
RESYNCS = Counter("rag_operator_resyncs_total", "Full resyncs.")
