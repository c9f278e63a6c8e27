"""Chunking: from a document's text to passages that fit the embedder."""

from rag_runtime.ingest.chunk.recursive import Chunk, chunk

__all__ = ["Chunk", "chunk"]
