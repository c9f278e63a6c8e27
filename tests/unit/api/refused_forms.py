"""Refused for the form of a value, a source, a place or an unknown field; part of `refused.REFUSED`."""

from __future__ import annotations

from tests.unit.api.examples import CRON, LOCAL, Example, pipeline, schedule, source, tenant

REFUSED_FORMS = [
    # sources
    tenant("no sources", {"sources": []}, "spec.sources", "give at least one source"),
    Example("no word of sources", "RagTenant", {"pipelineRef": {"name": "p"}}, "spec.sources", "at least one source"),
    tenant(
        "two sources of one name",
        {"sources": [{"name": "a", "configMapRef": {"name": "a"}}, {"name": "a", "configMapRef": {"name": "b"}}]},
        "spec.sources",
        "two items have the name 'a'",
        cluster_says="Duplicate value",
    ),
    source(
        "a way out of the volume",
        {"volume": {"claimRef": {"name": "a"}, "path": "/a/../../b"}},
        "spec.sources[0].volume.path",
        "starts with / and has no .. in it",
    ),
    source(
        "a path from nowhere",
        {"volume": {"claimRef": {"name": "a"}, "path": "docs"}},
        "spec.sources[0].volume.path",
        "starts with / and has no .. in it",
    ),
    *(
        source(f"the page {url}", {"http": {"urls": [url]}}, "spec.sources[0].http.urls[0]", "http:// or https://")
        for url in ("file:///etc/passwd", "ftp://a/b", "http://user:word@a/", "http://a/#b", "http://a/b c", "https://")
    ),
    source(
        "no pages",
        {"http": {"urls": []}},
        "spec.sources[0].http.urls",
        "at least 1 item",
        cluster_says="at least 1 items",
    ),
    source(
        "a depth too deep",
        {"http": {"urls": ["http://a"], "depth": 6}},
        "spec.sources[0].http.depth",
        "less than or equal to 5",
    ),
    source(
        "metadata that no filter could name",
        {"configMapRef": {"name": "a"}, "metadata": {"a b": "c"}},
        "spec.sources[0].metadata",
        "use metadata keys of",
    ),
    tenant(
        "a source name in capitals",
        {"sources": [{"name": "A", "configMapRef": {"name": "a"}}]},
        "spec.sources[0].name",
        "use lower-case letters",
    ),
    # forms
    *map(
        schedule,
        (
            "hourly",
            "@hourly",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 13 *",
            "* * * * 7",
            "*/0 * * * *",
            "30-10 * * * *",
            "* * * * FRI-MON",
            "* * * DEC-JAN *",
            "* * * * MON-5",
            "1,,2 * * * *",
            "* * * * MOON",
        ),
    ),
    tenant("a tenant's schedule", {"schedule": "at noon"}, "spec.schedule", CRON),
    *(
        pipeline(f"the time {text}", {"llm": {"timeout": text}}, "spec.llm.timeout", "write a duration")
        for text in ("30", "4 hours", "0s", "-1s", "1d", "0h0m", "1.5h")
    ),
    pipeline(
        "no IANA zone", {"ingestion": {"timeZone": "Local"}}, "spec.ingestion.timeZone", "write an IANA time zone"
    ),
    pipeline("no size", {"cache": {"managed": {"memory": "0"}}}, "spec.cache.managed.memory", "write a size"),
    pipeline("a negative size", {"ingestion": {"maxFileSize": -1}}, "spec.ingestion.maxFileSize", "write a size"),
    pipeline(
        "a quantity of words",
        {"query": {"resources": {"limits": {"cpu": "two"}}}},
        "spec.query.resources.limits.cpu",
        "write a quantity",
    ),
    pipeline("too sure", {"retrieval": {"minScore": "1.1"}}, "spec.retrieval.minScore", "from 0 to 1 in quotes"),
    pipeline("too hot", {"llm": {"temperature": "2.1"}}, "spec.llm.temperature", "from 0 to 2 in quotes"),
    pipeline(
        "too heavy",
        {"retrieval": {"fusion": {"vectorWeight": "11"}}},
        "spec.retrieval.fusion.vectorWeight",
        "from 0 to 10",
    ),
    pipeline("no catalog", {"database": {"managed": {}, "adopt": "old"}}, "spec.database.adopt", "status.catalogID"),
    pipeline(
        "an address with a query",
        {"llm": {"models": [{"model": "m", "endpoint": {"baseURL": "https://a/v1?key=1"}}]}},
        "spec.llm.models[0].endpoint.baseURL",
        "without credentials, query or fragment",
    ),
    pipeline(
        "a host with a scheme",
        {"ingestion": {"sources": {"allowedHosts": ["https://a.example"]}}},
        "spec.ingestion.sources.allowedHosts[0]",
        "without scheme or path",
    ),
    tenant("a pipeline's odd name", {"pipelineRef": {"name": "A_b"}}, "spec.pipelineRef.name", "name of an object"),
    pipeline(
        "a key that no Secret has",
        {"embedding": {"endpoint": {"secretRef": {"name": "a", "key": "a/b"}}, "model": "m", "dimensions": 8}},
        "spec.embedding.endpoint.secretRef.key",
        "write a key of the Secret or ConfigMap",
    ),
    pipeline(
        "a key that no ConfigMap has",
        {"ingestion": {"sources": {"caRef": {"name": "a", "key": "a/b"}}}},
        "spec.ingestion.sources.caRef.key",
        "write a key of the Secret or ConfigMap",
    ),
    tenant(
        "a pipeline in an odd namespace",
        {"pipelineRef": {"name": "p", "namespace": "Other/x"}},
        "spec.pipelineRef.namespace",
        "name of an object",
    ),
    # where tenants live
    *(
        pipeline(
            f"tenants of {about}",
            {"tenancy": {"namespaces": namespaces}},
            "spec.tenancy.namespaces",
            "from: Selector needs selector, and Same and All have none",
        )
        for about, namespaces in (
            ("namespaces chosen by nothing", {"from": "Selector"}),
            ("all namespaces and chosen ones", {"from": "All", "selector": {}}),
            ("its own namespace and chosen ones", {"selector": {"matchLabels": {"rag": "true"}}}),
        )
    ),
    # schema
    Example("no database at all", "RagPipeline", {}, "spec.database", "required", cluster_says="Required value"),
    tenant(
        "a pipeline of another cluster",
        {"pipelineRef": {"name": "p", "cluster": "other"}},
        "spec.pipelineRef.cluster",
        "unknown field",
        cluster_says='unknown field "spec.pipelineRef.cluster"',
    ),
    pipeline(
        "an unknown field", {"rerank": {}}, "spec.rerank", "unknown field", cluster_says='unknown field "spec.rerank"'
    ),
    pipeline(
        "a wrong type",
        {"retrieval": {"topK": "many"}},
        "spec.retrieval.topK",
        "valid integer",
        cluster_says="must be of type integer",
    ),
    pipeline(
        "an unknown choice",
        {"index": {"type": "IVFFlat"}},
        "spec.index.type",
        "'HNSW' or 'Flat'",
        cluster_says='supported values: "HNSW", "Flat"',
    ),
    pipeline("too many passages", {"retrieval": {"topK": 51}}, "spec.retrieval.topK", "less than or equal to 50"),
    pipeline(
        "two chat models",
        {"llm": {"models": [{"model": "a", "endpoint": LOCAL}, {"model": "b", "endpoint": LOCAL}]}},
        "spec.llm.models",
        "at most 1 item",
        cluster_says="must have at most 1 item",
    ),
]
