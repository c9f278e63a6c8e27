"""What is known about embedding models: how long their vectors are and how much text they take."""

from dataclasses import dataclass

from rag_operator.api.pipeline import BuiltInEmbedder

UNKNOWN_MODEL_TOKENS = 512
"""Assumed for models that aren't listed: what BERT-like embedders take, the least of those in common use."""


@dataclass(frozen=True, slots=True)
class Embedder:
    """Facts of one model. `min_dimensions` < `max_dimensions` where vectors may be shortened (Matryoshka)."""

    min_dimensions: int
    max_dimensions: int
    max_input_tokens: int
    chunk_size: int = 400


BUILT_IN = {
    # 256 tokens, of which [CLS] and [SEP] are two. Model card of sentence-transformers/all-MiniLM-L6-v2.
    BuiltInEmbedder.ALL_MINILM_L6_V2: Embedder(384, 384, 254, chunk_size=200),
}
DEFAULT_BUILT_IN = BuiltInEmbedder.ALL_MINILM_L6_V2

# OpenAI's documentation of embeddings.
KNOWN = {
    "text-embedding-3-small": Embedder(1, 1536, 8191),
    "text-embedding-3-large": Embedder(1, 3072, 8191),
    "text-embedding-ada-002": Embedder(1536, 1536, 8191),
}
