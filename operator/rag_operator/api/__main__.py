"""`python -m rag_operator.api write|check`: the generated files, written or compared. The only I/O of this room."""

import argparse
import sys
from pathlib import Path

from rag_operator.api.crd import files
from rag_operator.api.reference import reference

ROOT = Path(__file__).resolve().parents[3]


def generated() -> dict[str, str]:
    """Path within the repository to content, of every generated file."""
    return files() | {"docs/api-reference.md": reference()}


def write(root: Path) -> None:
    """Write every generated file below `root`."""
    for name, text in generated().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def drifted(root: Path) -> list[str]:
    """The files below `root` that are missing or differ."""
    return [
        name
        for name, text in generated().items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 1 where `check` found drift."""
    parser = argparse.ArgumentParser(prog="python -m rag_operator.api", description=__doc__)
    parser.add_argument("command", choices=["write", "check"])
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout")
    options = parser.parse_args(arguments)
    if options.command == "write":
        write(options.root)
        return 0
    drift = drifted(options.root)
    for name in drift:
        print(f"{name}: differs from the models; run `python -m rag_operator.api write`", file=sys.stderr)
    return 1 if drift else 0


if __name__ == "__main__":
    sys.exit(main())
