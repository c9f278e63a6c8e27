"""Specs drawn from the schemas that users meet: every field of our CRDs, within its bounds and its unions of one-of.

What the schema alone can't say (one field fits another) is mended by taking out what breaks a rule of ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from rag_operator.api.errors import InvalidSpec
from rag_operator.api.parse import parse_pipeline, parse_tenant

Spec = dict[str, Any]
Schema = Mapping[str, Any]
CRDS = Path(__file__).parents[2] / "crds"
CRON = ("7 3 * * *", "*/15 * * * *", "0 3 * * MON-FRI", "0,30 1-5 1 1 *")
DATABASE: Spec = {"database": {"secretRef": {"name": "db"}}}
TENANT: Spec = {
    "pipelineRef": {"name": "support"},
    "sources": [{"name": "handbook", "configMapRef": {"name": "handbook"}}],
}
VALUES: dict[str, tuple[str, ...]] = {
    "cache.secretRef.name": ("redis",),
    "embedding.endpoint.secretRef.name": ("models",),
    "llm.models[].endpoint.secretRef.name": ("models",),
    "embedding.endpoint.secretRef.key": ("api-key", "other-key"),
    "llm.models[].endpoint.secretRef.key": ("api-key", "other-key"),
    "embedding.endpoint.baseURL": ("http://models.example.test:8080/v1", "https://api.openai.com/v1"),
    "llm.models[].endpoint.baseURL": ("http://models.example.test:8080/v1", "https://api.openai.com/v1"),
    "embedding.model": ("own-model", "text-embedding-3-small", "all-MiniLM-L6-v2"),
    "runtimeVersion": ("", "0.1.0"),
    "query.image": ("", "rag-operator/runtime:other"),
    "query.imagePullSecrets[].name": ("pull", "other"),
    "ingestion.schedule": CRON,
    "ingestion.timeZone": ("Etc/UTC", "Europe/Berlin"),
    "schedule": CRON,
    "sources[].name": ("handbook", "a", "b"),
    "sources[].configMapRef.name": ("handbook", "second"),
    "sources[].volume.claimRef.name": ("files",),
    "sources[].volume.path": ("/", "/a/b", "/a b"),
    "sources[].http.urls[]": ("https://example.test/", "http://example.test/a?b=c"),
}
"""What names something, or is said more narrowly than by a pattern."""
ENDINGS: dict[str, tuple[str, ...]] = {
    ".caRef.name": ("kube-root-ca.crt",),
    ".caRef.key": ("ca.crt",),
    ".priorityClassName": ("system-cluster-critical", "system-node-critical"),
}
KEYS = {"sources[].metadata": ("team", "a.b")}
RESOURCES = ("cpu", "memory", "ephemeral-storage")
LEFT_OUT = ("database", "pipelineRef", "paused", "ingestion.maxConcurrentJobs")
"""Fixed, or played by rules of their own; with fewer slots than steps, who waits depends on the past."""
MOST_ITEMS = 3
LONGEST = 24
MENDINGS = 200
ONE_OF = re.compile(r"^\[has\(self\.")


def schema_of(plural: str) -> Schema:
    """The schema of a kind's spec, as it is installed."""
    crd = yaml.safe_load((CRDS / f"{plural}.yaml").read_text())
    found: Schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


@st.composite
def pipelines(draw: st.DrawFn) -> Spec:
    """Specs of RagPipelines on the database of the Secret `db`; two sections say more."""
    return _valid("RagPipeline", DATABASE | _sections(draw, schema_of("ragpipelines"), 2))


@st.composite
def tenants(draw: st.DrawFn) -> Spec:
    """Specs of RagTenants of the pipeline `support`."""
    return _valid("RagTenant", TENANT | _sections(draw, schema_of("ragtenants"), 1))


def _sections(draw: st.DrawFn, schema: Schema, least: int) -> Spec:
    names = sorted(set(schema["properties"]) - set(LEFT_OUT))
    chosen = draw(st.lists(st.sampled_from(names), unique=True, min_size=least, max_size=5))
    return {name: _value(draw, schema["properties"][name], name) for name in chosen}


def _value(draw: st.DrawFn, schema: Schema, path: str) -> Any:
    named = VALUES.get(path) or next((ENDINGS[end] for end in ENDINGS if path.endswith(end)), ())
    if named:
        return draw(st.sampled_from(named))
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    kinds: dict[str, Callable[[st.DrawFn, Schema, str], Any]] = {
        "object": _map if "additionalProperties" in schema else _object,
        "array": _array,
        "boolean": lambda draw, *_: draw(st.booleans()),
        "integer": lambda draw, s, _: draw(st.integers(s.get("minimum", 0), s.get("maximum", 100))),
        "string": _text,
    }
    return kinds[schema.get("type", "string")](draw, schema, path)


def _object(draw: st.DrawFn, schema: Schema, path: str) -> Spec:
    chosen = set(schema.get("required", ()))
    unions = [rule["rule"] for rule in schema.get("x-kubernetes-validations", ()) if ONE_OF.match(rule["rule"])]
    in_unions: set[str] = set()
    for rule in unions:
        members = re.findall(r"has\(self\.(\w+)\)", rule)
        in_unions |= set(members)
        chosen |= {draw(st.sampled_from(members))} if rule.endswith("== 1") or draw(st.booleans()) else set()
    for name in schema["properties"]:
        if name not in in_unions and f"{path}.{name}" not in LEFT_OUT and draw(st.booleans()):
            chosen.add(name)
    drawn = {name: _value(draw, schema["properties"][name], f"{path}.{name}") for name in sorted(chosen)}
    return _completed(draw, path, drawn)


def _completed(draw: st.DrawFn, path: str, drawn: Spec) -> Spec:
    """What one field asks for beside it, so that little has to be taken out."""
    if path.endswith(".endpoint") and "secretRef" not in drawn:
        return {"baseURL": VALUES["embedding.endpoint.baseURL"][0]}
    if path == "embedding" and "endpoint" in drawn:
        return {"model": "own-model", "dimensions": draw(st.sampled_from((8, 384, 1536)))} | drawn
    if path == "embedding":
        return {name: value for name, value in drawn.items() if name not in ("model", "dimensions", "maxInputTokens")}
    if path == "scaling" and draw(st.booleans()):
        least = draw(st.integers(1, 3))  # each is a pod that somebody makes
        metrics = {"metrics": drawn["metrics"]} if "metrics" in drawn else {}
        return {"minReplicas": least, "maxReplicas": least + draw(st.integers(0, 3))} | metrics
    if path == "scaling":
        return {"replicas": draw(st.integers(1, 4))}
    return drawn


def _map(draw: st.DrawFn, schema: Schema, path: str) -> Spec:
    keys = KEYS.get(path, RESOURCES)
    chosen = draw(st.lists(st.sampled_from(keys), unique=True))
    return {key: _value(draw, schema["additionalProperties"], f"{path}.{key}") for key in chosen}


def _array(draw: st.DrawFn, schema: Schema, path: str) -> list[Any]:
    keys = schema.get("x-kubernetes-list-map-keys", ())
    least, most = schema.get("minItems", 0), min(MOST_ITEMS, schema.get("maxItems", MOST_ITEMS))
    items: list[Any] = []
    for _ in range(draw(st.integers(max(1, least), most))):
        item = _value(draw, schema["items"], f"{path}[]")
        if item not in items and not any(all(item.get(k) == other.get(k) for k in keys) for other in items if keys):
            items.append(item)
    return items


def _text(draw: st.DrawFn, schema: Schema, path: str) -> str:
    most = int(schema.get("maxLength", 1024))
    if "pattern" in schema:
        written = st.from_regex(re.compile(schema["pattern"], re.ASCII), fullmatch=True)
        text = str(draw(written))
        return text if len(text) <= min(most, LONGEST) else str(schema.get("default", "1"))
    return str(draw(st.text(st.characters(codec="utf-8"), min_size=schema.get("minLength", 0), max_size=min(most, 16))))


def _valid(kind: str, spec: Spec) -> Spec:
    """The spec without what breaks a rule."""
    parse = parse_pipeline if kind == "RagPipeline" else parse_tenant
    whole: Spec = {"apiVersion": "rag-operator.dev/v1alpha1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    for _ in range(MENDINGS):
        try:
            parse(whole)
        except InvalidSpec as invalid:
            _take_out(whole, invalid.problems[0].path)
        else:
            return spec
    raise AssertionError(f"not to be mended: {whole}")


def _take_out(whole: Spec, path: str) -> None:
    """Remove what the path leads to, or what is nearest above it."""
    steps: list[str | int] = [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path)]
    holder: Any = whole
    above: list[tuple[Any, str | int]] = []
    for step in steps:
        if isinstance(holder, dict) and step not in holder:
            break
        if isinstance(holder, list) and not (isinstance(step, int) and step < len(holder)):
            break
        above.append((holder, step))
        holder = holder[step]
    inner, step = above[-1]
    assert len(above) > 1, f"nothing to take out at {path}"
    del inner[step]
