"""Loads given vectors with langchain-postgres `PGVector`; run by `load` in a virtual environment of its own.

    python langchain_load.py DSN FOLDER BATCH ROWS      prints the seconds that `add_embeddings` took

FOLDER holds vectors.npy and texts.json. Lists are made before the clock starts: they are what its interface takes.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from langchain_postgres import PGVector


class Given:
    """Stands where an embedder is asked for; never called, since vectors are given."""


def main(dsn: str, folder: Path, batch: int, rows: int) -> float:
    """Load the first `rows` rows in calls of `batch`; seconds."""
    vectors = np.load(folder / "vectors.npy")[:rows].tolist()
    texts = json.loads((folder / "texts.json").read_text())[:rows]
    metadatas = [{"source": "bench", "path": f"page{i // 10}", "ordinal": i % 10} for i in range(rows)]
    embeddings: Any = Given()
    store = PGVector(
        embeddings=embeddings,
        connection=dsn,
        collection_name="bench",
        embedding_length=len(vectors[0]),
        use_jsonb=True,
        pre_delete_collection=True,
    )
    begun = time.perf_counter()
    for first in range(0, rows, batch):
        part = slice(first, first + batch)
        store.add_embeddings(texts[part], vectors[part], metadatas[part])
    return time.perf_counter() - begun


if __name__ == "__main__":
    print(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
