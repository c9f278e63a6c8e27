"""all-MiniLM-L6-v2 once more, as plainly as its papers state it: one text at a time, in float64, with the exact erf.

Written from the formulas and the tensors' names alone; shares nothing with `rag_runtime.models.bert`.
"""

from __future__ import annotations

from math import erf, sqrt
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from rag_runtime.models.weights import model_file

Array = np.ndarray[Any, np.dtype[np.float64]]


class Reference:
    def __init__(self) -> None:
        tensors = load_file(str(model_file("model.safetensors")))
        self.tensors = {name: value.astype(np.float64) for name, value in tensors.items() if value.dtype == np.float32}
        self.tokenizer = Tokenizer.from_file(str(model_file("tokenizer.json")))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(256)

    def embed(self, text: str) -> Array:
        ids = self.tokenizer.encode(text).ids
        w = self.tensors
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
        x = self.norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for i in range(6):
            x = self.layer(x, f"encoder.layer.{i}.")
        pooled = x.mean(axis=0)
        result: Array = pooled / np.sqrt((pooled**2).sum())
        return result

    def layer(self, x: Array, name: str) -> Array:
        q, k, v = (self.linear(x, f"{name}attention.self.{part}") for part in ("query", "key", "value"))
        heads = []
        for h in range(12):
            part = slice(32 * h, 32 * h + 32)
            scores = np.exp(q[:, part] @ k[:, part].T / sqrt(32))
            heads.append(scores / scores.sum(axis=1, keepdims=True) @ v[:, part])
        attended = self.linear(np.concatenate(heads, axis=1), f"{name}attention.output.dense")
        x = self.norm(attended + x, f"{name}attention.output.LayerNorm")
        inner = self.linear(x, f"{name}intermediate.dense")
        inner = inner * 0.5 * (1 + np.vectorize(erf)(inner / sqrt(2)))
        return self.norm(self.linear(inner, f"{name}output.dense") + x, f"{name}output.LayerNorm")

    def linear(self, x: Array, name: str) -> Array:
        result: Array = x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]
        return result

    def norm(self, x: Array, name: str) -> Array:
        mean = x.mean(axis=1, keepdims=True)
        spread = np.sqrt(x.var(axis=1, keepdims=True) + 1e-12)
        result: Array = (x - mean) / spread * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]
        return result
