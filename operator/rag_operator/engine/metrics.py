"""What the engine counts. `kind` is `pipeline` or `tenant`."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter("rag_operator_reconciles_total", "Reconciles by kind and outcome.", ["kind", "outcome"])
DURATION = Histogram(
    "rag_operator_reconcile_seconds",
    "Duration of a reconcile.",
    ["kind"],
    buckets=(0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60, 120),
)
ERRORS = Counter(
    "rag_operator_reconcile_errors_total",
    "Reconciles that ended in trouble, by the reason of the condition or of the error.",
    ["kind", "reason"],
)
PROMOTIONS = Counter("rag_operator_promotions_total", "Revisions promoted.")
WATCH_STALE = Gauge("rag_operator_watch_stale_objects", "Objects that a list shows and the watch has not delivered.")
RESYNCS = Counter("rag_operator_resyncs_total", "Full resyncs begun.")
RESYNC_FAILURES = Counter("rag_operator_resync_failures_total", "Full resyncs that failed, and were begun anew.")
RESYNC_SECONDS = Histogram(
    "rag_operator_resync_seconds",
    "Duration of a full resync's lists.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
DIFFERENCES = Counter(
    "rag_operator_resync_differences_total",
    "What a resync's list showed and no watch had delivered: newer, or vanished.",
    ["kind", "difference"],
)
