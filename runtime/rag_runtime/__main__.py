"""`python -m rag_runtime` and the console script `rag-runtime`."""

from __future__ import annotations

import sys

from rag_runtime.cli import main

if __name__ == "__main__":
    sys.exit(main())
