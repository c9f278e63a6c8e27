"""Finding passages: pinned tenants, SQL as a tenant's reader, BM25, fusion, relevance."""
