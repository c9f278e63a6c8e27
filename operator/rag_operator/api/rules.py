"""Every rule that spans fields, once: a CEL expression for the API server and an equal Python predicate for reconcile.

Reconcile checks again, because a resource may be older than a rule. That the two agree is proved on examples against
the real API server (tests/integration/admission) and against Python (tests/unit/api).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from rag_operator.api import names, resolve
from rag_operator.api.embedders import BUILT_IN, DEFAULT_BUILT_IN, KNOWN, UNKNOWN_MODEL_TOKENS
from rag_operator.api.errors import Problem
from rag_operator.api.formats import Label
from rag_operator.api.pipeline import IndexType, Quantization, RagPipeline, RagPipelineSpec
from rag_operator.api.tenant import RagTenant

HNSW_MAX_DIMENSIONS = {Quantization.HALF_VEC: 4000, Quantization.NONE: 2000}
"""What pgvector indexes with HNSW: halfvec and vector."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    `at` is the path of the object that the rule is about (`spec.sources[]`; empty is the whole resource), `field` the
    path below it that the message is about. `holds` gets the parsed object at `at`.
    """

    at: str
    field: str
    cel: str
    message: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Transition:
    """A rule about a change: `holds` gets the new and the old object at `at`."""

    at: str
    field: str
    cel: str
    message: str
    holds: Callable[[Any, Any], bool]


def _count(members: Sequence[str]) -> str:
    return "[{}].filter(given, given).size()".format(", ".join(f"has(self.{member})" for member in members))


def _given(value: Any, members: Sequence[str]) -> int:
    return sum(getattr(value, attribute(type(value), member)) is not None for member in members)


def _exactly_one(at: str, *members: str) -> Rule:
    message = f"give exactly one of {', '.join(members[:-1])} and {members[-1]}"
    return Rule(at, "", f"{_count(members)} == 1", message, lambda value: _given(value, members) == 1)


def _at_most_one(at: str, *members: str) -> Rule:
    message = f"give at most one of {', '.join(members[:-1])} and {members[-1]}"
    return Rule(at, "", f"{_count(members)} <= 1", message, lambda value: _given(value, members) <= 1)


def _name(limit: int) -> Rule:
    pattern = Label.pattern
    return Rule(
        "",
        "metadata.name",
        f"self.metadata.name.size() <= {limit} && self.metadata.name.matches(r'{pattern}')",
        f"choose a name of at most {limit} lower-case letters, digits and -, that starts with a letter and "
        "doesn't end with -",
        lambda resource: len(resource.metadata.name) <= limit and Label.accepts(resource.metadata.name),
    )


_RESERVED = tuple(f"-{suffix}" for suffix in names.RESERVED_SUFFIXES)


def _cel_map(values: dict[str, int]) -> str:
    return "{{{}}}".format(", ".join(f"'{key}': {value}" for key, value in values.items()))


_DEFAULT = BUILT_IN[DEFAULT_BUILT_IN]
_TOKENS = _cel_map({name: model.max_input_tokens for name, model in KNOWN.items()})
_LEAST = _cel_map({name: model.min_dimensions for name, model in KNOWN.items()})
_MOST = _cel_map({name: model.max_dimensions for name, model in KNOWN.items()})


def _model_tokens_cel(at: str) -> str:
    """What the model takes, whatever maxInputTokens says."""
    return (
        f"(!has({at}.endpoint) ? {_DEFAULT.max_input_tokens} : "
        f"has({at}.model) && {at}.model in {_TOKENS} ? {_TOKENS}[{at}.model] : {UNKNOWN_MODEL_TOKENS})"
    )


def _input_tokens_cel(at: str) -> str:
    return f"(has({at}.maxInputTokens) ? {at}.maxInputTokens : {_model_tokens_cel(at)})"


_SIZE_CEL = (
    "(has(self.chunking.size) ? self.chunking.size : "
    f"[!has(self.embedding.endpoint) ? {_DEFAULT.chunk_size} : 400, {_input_tokens_cel('self.embedding')}].min())"
)


def _dimensions_suit_the_model(embedding: Any) -> bool:
    known = resolve.embedder_of(embedding)
    if known is None or embedding.dimensions is None:
        return True
    return bool(known.min_dimensions <= embedding.dimensions <= known.max_dimensions)


def _tokens_suit_the_model(embedding: Any) -> bool:
    known = resolve.embedder_of(embedding)
    return known is None or embedding.max_input_tokens is None or embedding.max_input_tokens <= known.max_input_tokens


def _dimensions_fit_the_index(spec: RagPipelineSpec) -> bool:
    if spec.index.type is IndexType.FLAT:
        return True
    return resolve.dimensions(spec.embedding) <= HNSW_MAX_DIMENSIONS[spec.index.quantization]


def _overlap_fits(spec: RagPipelineSpec) -> bool:
    return spec.chunking.overlap is None or spec.chunking.overlap * 2 < resolve.chunk_size(spec)


def _key_for_openai(at: str) -> Rule:
    return Rule(
        at,
        "secretRef",
        "has(self.secretRef) || !self.baseURL.startsWith('https://api.openai.com/')",
        "name the Secret with the OpenAI API key, or give the baseURL of an endpoint that asks for none",
        lambda endpoint: endpoint.secret_ref is not None or not endpoint.base_url.startswith("https://api.openai.com/"),
    )


def _goes_with(member: str, kind: str, example: str = "") -> Rule:
    """A member of one type of metric; an `example` is given where that type needs it."""
    there = f"has(self.{member})"
    return Rule(
        "spec.scaling.metrics[]",
        member,
        f"{there} == (self.type == '{kind}')" if example else f"!{there} || self.type == '{kind}'",
        f"type {kind} {f'needs {member}, for instance {example}' if example else f'takes {member}'}; no other does",
        lambda m: (
            (_given(m, (member,)) == 1) == (m.type == kind) if example else not _given(m, (member,)) or m.type == kind
        ),
    )


EMBEDDING_RULES = (
    _at_most_one("spec.embedding", "builtIn", "endpoint"),
    Rule(
        "spec.embedding",
        "model",
        "!has(self.endpoint) || has(self.model)",
        "name the endpoint's embedding model, for instance text-embedding-3-small",
        lambda embedding: embedding.endpoint is None or embedding.model is not None,
    ),
    Rule(
        "spec.embedding",
        "dimensions",
        "!has(self.endpoint) || has(self.dimensions)",
        "say how long the model's vectors are, for instance 1536 for text-embedding-3-small",
        lambda embedding: embedding.endpoint is None or embedding.dimensions is not None,
    ),
    Rule(
        "spec.embedding",
        "model",
        f"has(self.endpoint) || !has(self.model) || self.model == '{DEFAULT_BUILT_IN}'",
        f"without endpoint the model is {DEFAULT_BUILT_IN}: leave model out, or add the endpoint that has this model",
        lambda embedding: embedding.endpoint is not None or embedding.model in (None, str(DEFAULT_BUILT_IN)),
    ),
    Rule(
        "spec.embedding",
        "dimensions",
        f"!has(self.dimensions) || (!has(self.endpoint) ? self.dimensions == {_DEFAULT.max_dimensions} : "
        f"!has(self.model) || !(self.model in {_MOST}) || "
        f"(self.dimensions >= {_LEAST}[self.model] && self.dimensions <= {_MOST}[self.model]))",
        "the model has no vectors of this length: leave dimensions out for "
        f"{DEFAULT_BUILT_IN} ({_DEFAULT.max_dimensions}); "
        "text-embedding-3-small has up to 1536, text-embedding-3-large up to 3072, text-embedding-ada-002 has 1536",
        _dimensions_suit_the_model,
    ),
    Rule(
        "spec.embedding",
        "maxInputTokens",
        f"!has(self.maxInputTokens) || (has(self.endpoint) && !(has(self.model) && self.model in {_TOKENS})) || "
        f"self.maxInputTokens <= {_model_tokens_cel('self')}",
        f"more than the model takes: leave it out, or give at most {_DEFAULT.max_input_tokens} for "
        f"{DEFAULT_BUILT_IN} and 8191 for OpenAI's models",
        _tokens_suit_the_model,
    ),
    _key_for_openai("spec.embedding.endpoint"),
)

PIPELINE_RULES = (
    _name(names.MAX_PIPELINE_NAME),
    Rule(
        "",
        "metadata.name",
        " && ".join(f"!self.metadata.name.endsWith('{suffix}')" for suffix in _RESERVED),
        f"a pipeline's name may not end with {' or '.join(_RESERVED)}, which the operator's own Services do",
        lambda pipeline: not pipeline.metadata.name.endswith(_RESERVED),
    ),
    Rule(
        "spec",
        "runtimeVersion",
        "self.runtimeVersion == '' || self.query.image == ''",
        "query.image says which image runs: leave runtimeVersion empty, or query.image",
        lambda spec: not (spec.runtime_version and spec.query.image),
    ),
    _exactly_one("spec.database", "secretRef", "managed"),
    _at_most_one("spec.cache", "managed", "secretRef"),
    *EMBEDDING_RULES,
    Rule(
        "spec",
        "embedding.dimensions",
        f"!has(self.embedding.endpoint) || !has(self.embedding.dimensions) || self.index.type == 'Flat' || "
        f"self.embedding.dimensions <= (self.index.quantization == 'HalfVec' ? "
        f"{HNSW_MAX_DIMENSIONS[Quantization.HALF_VEC]} : {HNSW_MAX_DIMENSIONS[Quantization.NONE]})",
        "an HNSW index takes at most 4000 dimensions with quantization HalfVec and 2000 with None: give fewer "
        "dimensions, or set index.quantization to HalfVec or index.type to Flat",
        _dimensions_fit_the_index,
    ),
    Rule(
        "spec",
        "chunking.size",
        f"!has(self.chunking.size) || self.chunking.size <= {_input_tokens_cel('self.embedding')}",
        f"a chunk may not be larger than what the embedder takes ({_DEFAULT.max_input_tokens} tokens for the built-in "
        f"one, 8191 for OpenAI's, {UNKNOWN_MODEL_TOKENS} for an unknown one unless embedding.maxInputTokens says "
        "more): give a smaller size, or leave it out",
        lambda spec: spec.chunking.size is None or spec.chunking.size <= resolve.max_input_tokens(spec.embedding),
    ),
    Rule(
        "spec",
        "chunking.overlap",
        f"!has(self.chunking.overlap) || self.chunking.overlap * 2 < {_SIZE_CEL}",
        "the overlap must be less than half of the chunk's size (200 by default with the built-in embedder, else "
        "400): give a smaller overlap, or leave it out",
        _overlap_fits,
    ),
    Rule(
        "spec.index.hnsw",
        "efConstruction",
        "!has(self.efConstruction) || self.efConstruction >= 2 * self.m",
        "efConstruction must be at least twice m: raise it, or leave it out",
        lambda hnsw: hnsw.ef_construction is None or hnsw.ef_construction >= 2 * hnsw.m,
    ),
    Rule(
        "spec.retrieval",
        "candidates",
        "!has(self.candidates) || self.candidates >= self.topK",
        "candidates must be at least topK: raise it, or leave it out",
        lambda retrieval: retrieval.candidates is None or retrieval.candidates >= retrieval.top_k,
    ),
    Rule(
        # At spec, since the API server checks an object's default ({}) by the rules at it before filling its fields.
        "spec",
        "retrieval.fusion",
        "double(self.retrieval.fusion.vectorWeight) + double(self.retrieval.fusion.lexicalWeight) > 0.0",
        "one of the two weights must be more than 0",
        lambda spec: spec.retrieval.fusion.vector_weight.value + spec.retrieval.fusion.lexical_weight.value > 0,
    ),
    _at_most_one("spec.llm", "builtIn", "models"),
    _key_for_openai("spec.llm.models[].endpoint"),
    Rule(
        "spec.scaling",
        "",
        "!has(self.replicas) || (!has(self.minReplicas) && !has(self.maxReplicas))",
        "give either replicas, or minReplicas and maxReplicas",
        lambda s: s.replicas is None or (s.min_replicas is None and s.max_replicas is None),
    ),
    Rule(
        "spec.scaling",
        "",
        "has(self.minReplicas) == has(self.maxReplicas)",
        "give both minReplicas and maxReplicas",
        lambda s: (s.min_replicas is None) == (s.max_replicas is None),
    ),
    Rule(
        "spec.scaling",
        "maxReplicas",
        "!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
        "maxReplicas must be at least minReplicas",
        lambda s: s.min_replicas is None or s.max_replicas is None or s.min_replicas <= s.max_replicas,
    ),
    Rule(
        "spec.scaling",
        "metrics",
        "!has(self.metrics) || (has(self.minReplicas) && has(self.maxReplicas))",
        "metrics need minReplicas and maxReplicas: add them, or leave metrics out",
        lambda s: s.metrics is None or (s.min_replicas is not None and s.max_replicas is not None),
    ),
    _goes_with("averageUtilizationPercent", "CPU"),
    _goes_with("averageValue", "InFlight", "8"),
    _goes_with("threshold", "LatencyP95", "2s"),
)

TENANT_RULES = (
    _name(names.MAX_TENANT_NAME),
    Rule(
        "spec",
        "sources",
        "has(self.sources) && self.sources.size() > 0",
        "give at least one source, for instance {name: handbook, configMapRef: {name: acme-handbook}}",
        lambda spec: len(spec.sources) > 0,
    ),
    _exactly_one("spec.sources[]", "configMapRef", "volume", "http"),
    Rule(
        "spec.sources[].volume",
        "path",
        "self.path.startsWith('/') && !self.path.split('/').exists(part, part == '..')",
        "write a path within the volume that starts with / and has no .. in it",
        lambda volume: volume.path.startswith("/") and ".." not in volume.path.split("/"),
    ),
)

TENANT_TRANSITIONS = (
    Transition(
        "spec.pipelineRef",
        "",
        "self == oldSelf",
        "a tenant stays with its pipeline: delete the tenant and create it anew, or set it back",
        lambda new, old: bool(new == old),
    ),
)

RULES: dict[str, tuple[Rule, ...]] = {"RagPipeline": PIPELINE_RULES, "RagTenant": TENANT_RULES}
TRANSITIONS: dict[str, tuple[Transition, ...]] = {"RagPipeline": (), "RagTenant": TENANT_TRANSITIONS}


def all_rules(kind: str) -> list[Rule | Transition]:
    """The rules of a kind, those about changes last."""
    return [*RULES[kind], *TRANSITIONS[kind]]


def attribute(model: type[BaseModel], name: str) -> str:
    """The Python attribute of a field's name in YAML. Raises KeyError where there is none."""
    for key, info in model.model_fields.items():
        if (info.alias or key) == name:
            return key
    raise KeyError(name)


def select(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    """The objects at a rule's path, each with its concrete path; absent ones are left out."""
    found: list[tuple[str, Any]] = [("", value)]
    for step in at.split(".") if at else []:
        name, is_list = step.removesuffix("[]"), step.endswith("[]")
        inner: list[tuple[str, Any]] = []
        for path, parent in found:
            child = getattr(parent, attribute(type(parent), name))
            here = f"{path}.{name}" if path else name
            if is_list:
                inner += [(f"{here}[{i}]", item) for i, item in enumerate(child or ())]
            elif child is not None:
                inner.append((here, child))
        found = inner
    yield from found


def violations(resource: RagPipeline | RagTenant) -> list[Problem]:
    """Every broken rule, in the order of the rules."""
    return [
        Problem(".".join(part for part in (path, rule.field) if part), rule.message)
        for rule in RULES[type(resource).__name__]
        for path, value in select(resource, rule.at)
        if not rule.holds(value)
    ]
