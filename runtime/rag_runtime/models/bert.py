"""The forward pass of all-MiniLM-L6-v2 in numpy: BERT with 6 layers, 12 heads, 384 dimensions, mean pooling, L2 norm.

Texts of one call are laid end to end, without padding: linear layers run over all tokens at once, attention over each
text by itself. A vector therefore depends on its own text alone. Architecture: Devlin et al., arXiv:1810.04805; pooling
and normalisation: the model's `modules.json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

DIMENSIONS = 384
LAYERS = 6
HEAD = 32
"""Dimensions of one attention head."""
MAX_TOKENS = 256
"""[CLS] and [SEP] included; the model's `sentence_bert_config.json`."""
_EPSILON = np.float32(1e-12)

# erfc(x) = t (a1 + t (a2 + …)) exp(-x²), t = 1 / (1 + p x): Abramowitz and Stegun 7.1.26, error ≤ 1.5e-7. The halves of
# 0.5 erfc and the root of x / √2 are folded into the constants.
_P = np.float32(0.3275911 / math.sqrt(2))
_A = [np.float32(a / 2) for a in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)]
_BLOCK = 32768
"""Floats that gelu handles at once: 128 KiB, so that its twenty passes stay within the second-level cache."""


@dataclass(frozen=True, slots=True)
class Linear:
    """y = x w + b; w has shape (in, out)."""

    weight: Floats
    bias: Floats

    def __call__(self, x: Floats) -> Floats:
        """Shape (n, in) to (n, out)."""
        y: Floats = x @ self.weight
        y += self.bias
        return y


@dataclass(frozen=True, slots=True)
class Norm:
    """Layer normalisation."""

    weight: Floats
    bias: Floats

    def __call__(self, x: Floats) -> Floats:
        """Normalise each row of x, in place."""
        x -= x.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", x, x) / np.float32(x.shape[1])
        x /= np.sqrt(variance + _EPSILON)[:, None]
        x *= self.weight
        x += self.bias
        return x


@dataclass(frozen=True, slots=True)
class Layer:
    """One transformer layer; `qkv` is the three projections side by side, queries scaled by 1 / √HEAD."""

    qkv: Linear
    attended: Linear
    attended_norm: Norm
    inner: Linear
    outer: Linear
    outer_norm: Norm

    def __call__(self, x: Floats, lengths: Sequence[int]) -> Floats:
        """Hidden states of shape (tokens, 384) to the next layer's."""
        y = self.attended(attention(self.qkv(x), lengths))
        y += x
        x = self.attended_norm(y)
        y = self.outer(gelu(self.inner(x)))
        y += x
        return self.outer_norm(y)


@dataclass(frozen=True, slots=True)
class Model:
    """The whole network; immutable, so any number of threads may use it."""

    words: Floats
    positions: Floats
    norm: Norm
    layers: tuple[Layer, ...]

    def __call__(self, ids: Sequence[NDArray[np.int64]]) -> Floats:
        """Vectors of shape (len(ids), 384), L2-normalised, of texts given as vocabulary ids with [CLS] and [SEP]."""
        lengths = [len(one) for one in ids]
        x: Floats = self.words[np.concatenate(ids)]
        x += np.concatenate([self.positions[:length] for length in lengths])
        x = self.norm(x)
        for layer in self.layers:
            x = layer(x, lengths)
        ends = np.cumsum(lengths)
        pooled = np.stack([x[end - length : end].mean(axis=0) for end, length in zip(ends, lengths, strict=True)])
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        return pooled


def attention(qkv: Floats, lengths: Sequence[int]) -> Floats:
    """Softmax attention within each text, head by head: one head's scores (256 KiB) fit the second-level cache."""
    out = np.empty((len(qkv), DIMENSIONS), np.float32)
    start = 0
    for length in lengths:
        rows = qkv[start : start + length]
        scores = np.empty((length, length), np.float32)
        for head in range(0, DIMENSIONS, HEAD):
            q, k, v = (rows[:, at + head : at + head + HEAD] for at in (0, DIMENSIONS, 2 * DIMENSIONS))
            np.matmul(q, k.T, out=scores)
            scores -= scores.max(axis=1, keepdims=True)
            np.exp(scores, out=scores)
            context = scores @ v
            context /= scores.sum(axis=1, keepdims=True)
            out[start : start + length, head : head + HEAD] = context
        start += length
    return out


def gelu(x: Floats) -> Floats:
    """x Φ(x), exact to 4e-7, in place: max(x, 0) - |x| Φ(-|x|), where Φ(-a) is half of erfc(a / √2)."""
    flat = x.reshape(-1)
    for start in range(0, len(flat), _BLOCK):
        block = flat[start : start + _BLOCK]
        size = np.abs(block)
        t = size * _P
        t += np.float32(1)
        np.reciprocal(t, out=t)
        tail = t * _A[0]
        for coefficient in _A[1:]:
            tail += coefficient
            tail *= t
        np.multiply(block, block, out=t)
        t *= np.float32(-0.5)
        np.exp(t, out=t)
        tail *= t
        tail *= size
        np.maximum(block, 0, out=block)
        block -= tail
    return x


def build(tensors: Mapping[str, Floats]) -> Model:
    """The model of the tensors as `sentence-transformers` names them. Raises KeyError when one is missing."""
    types = tensors["embeddings.token_type_embeddings.weight"][0]
    return Model(
        words=tensors["embeddings.word_embeddings.weight"],
        positions=tensors["embeddings.position_embeddings.weight"] + types,
        norm=_norm(tensors, "embeddings.LayerNorm"),
        layers=tuple(_layer(tensors, f"encoder.layer.{i}.") for i in range(LAYERS)),
    )


def _layer(tensors: Mapping[str, Floats], prefix: str) -> Layer:
    parts = [_linear(tensors, f"{prefix}attention.self.{name}") for name in ("query", "key", "value")]
    qkv = Linear(np.hstack([part.weight for part in parts]), np.hstack([part.bias for part in parts]))
    scale = np.float32(1 / math.sqrt(HEAD))
    qkv.weight[:, :DIMENSIONS] *= scale
    qkv.bias[:DIMENSIONS] *= scale
    return Layer(
        qkv=qkv,
        attended=_linear(tensors, f"{prefix}attention.output.dense"),
        attended_norm=_norm(tensors, f"{prefix}attention.output.LayerNorm"),
        inner=_linear(tensors, f"{prefix}intermediate.dense"),
        outer=_linear(tensors, f"{prefix}output.dense"),
        outer_norm=_norm(tensors, f"{prefix}output.LayerNorm"),
    )


def _linear(tensors: Mapping[str, Floats], name: str) -> Linear:
    return Linear(np.ascontiguousarray(tensors[f"{name}.weight"].T), tensors[f"{name}.bias"])


def _norm(tensors: Mapping[str, Floats], name: str) -> Norm:
    return Norm(tensors[f"{name}.weight"], tensors[f"{name}.bias"])
