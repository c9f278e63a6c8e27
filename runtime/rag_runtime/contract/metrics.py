"""Names of metrics and labels: what the query service exports and what monitors, alerts and dashboards use.

Seconds throughout, as Prometheus wants it.
"""

from __future__ import annotations

REQUESTS = "rag_query_requests"
"""Counter: requests by `route`, `tenant` (at most 200 names, then `other`) and `outcome`."""
REQUEST_SECONDS = "rag_query_request_seconds"
"""Histogram: whole requests by `route`, until the last byte was handed over."""
REQUEST_SECONDS_P95 = "rag_query_request_seconds_p95"
"""Not exported by pods: the name under which an adapter serves each pod's 95th percentile of REQUEST_SECONDS by the
custom metrics API, for scaling."""
FIRST_TEXT_SECONDS = "rag_query_first_text_seconds"
"""Histogram: from the request to the first piece of an answer's text."""
STAGE_SECONDS = "rag_query_stage_seconds"
"""Histogram: stages of the query path by `stage`."""
STAGE_FAILURES = "rag_query_stage_failures"
"""Counter: stages that failed and fell back, or ended the request, by `stage`."""
IN_FLIGHT = "rag_query_in_flight_requests"
"""Gauge: requests under way."""
CACHE_LOOKUPS = "rag_cache_lookups"
"""Counter: lookups by `cache` (answer, embedding) and `result` (hit, miss, skipped)."""
EMPTY_RETRIEVALS = "rag_retrieval_empty"
"""Counter: retrievals without a relevant passage, by `tenant`."""
TOP_SIMILARITY = "rag_retrieval_top_similarity"
"""Histogram: cosine of the best passage of a retrieval."""
TOKENS = "rag_model_tokens"
"""Counter: tokens by `model` and `kind` (prompt, completion)."""
BREAKER_STATE = "rag_breaker_state"
"""Gauge by `breaker`: 0 closed, 1 half-open, 2 open."""
CATALOG_TENANTS = "rag_catalog_tenants"
"""Gauge: tenants that this pod answers for."""
CATALOG_PROMOTION = "rag_catalog_promotion"
"""Gauge: number of the newest promotion that this pod has applied."""
CATALOG_AGE_SECONDS = "rag_catalog_age_seconds"
"""Gauge: seconds since the catalog was last read in full."""
LEASE_REMAINING_SECONDS = "rag_reader_lease_remaining_seconds"
"""Gauge: how long this pod may still pin; not above 0: it answers from the exact cache or not at all."""

TENANT_LABEL_LIMIT = 200
OTHER_TENANTS = "other"
