"""Runs tests against a copy of our packages in which one thing was changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.faults.mutations.mutation import Mutation

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("operator/rag_operator", "runtime/rag_runtime")
SECONDS = 240.0
"""For one test."""
SLIPS = ("NameError", "AttributeError", "ImportError", "ModuleNotFoundError", "SyntaxError", "TypeError", "Unbound")
"""What a mutant raises that is merely broken: no test is any good for noticing that."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the tests ended: pytest's exit code, the failures' first lines, how many broke outside of a test's body."""

    code: int
    failures: tuple[str, ...]
    errors: int
    output: str

    @property
    def noticed(self) -> bool:
        """Whether a test said that what it protects is gone."""
        slipped = any(said.split(":")[0].split(".")[-1].startswith(SLIPS) for said in self.failures)
        return self.code == 1 and bool(self.failures) and not self.errors and not slipped


def mutated(mutation: Mutation) -> str:
    """The file's text with the change; AssertionError where the table no longer fits the code."""
    text = (REPOSITORY / mutation.file).read_text()
    found = text.count(mutation.old)
    assert found == 1, f"{mutation.name}: the old text stands {found} times in {mutation.file}, not once"
    changed = text.replace(mutation.old, mutation.new)
    compile(changed, mutation.file, "exec")
    return changed


def copy_to(folder: Path, mutation: Mutation | None) -> None:
    """Our packages, below the folders that they have in the repository; with the mutation, if there is one."""
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, folder / package)
    if mutation is not None:
        (folder / mutation.file).write_text(mutated(mutation))


def run(folder: Path, tests: Iterable[str], run_id: str) -> Outcome:
    """Run tests with the copy in `folder` before all else; they share the API server of the test run `run_id`."""
    report = folder / "report.xml"
    names = [f"tests/{test}" for test in tests]
    seconds = SECONDS * len(names)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--junitxml={report}", *names]
    environment = _environment(folder, run_id)
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    failures, errors = _read(report) if report.exists() else ((), 0)
    return Outcome(done.returncode, failures, errors, (done.stdout + done.stderr)[-4000:])


def place_of(folder: Path, module: str) -> Path:
    """Where the module is imported from."""
    code = f"import {module} as found; print(found.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=_environment(folder, ""), capture_output=True, text=True, check=True
    )
    return Path(done.stdout.strip())


def _environment(folder: Path, run_id: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "RAG_FAULTS"))}
    path = [str(folder / package.split("/")[0]) for package in PACKAGES]
    return kept | {
        "PYTHONPATH": os.pathsep.join([*path, str(REPOSITORY)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_XDIST_TESTRUNUID": run_id,
    }


def _read(report: Path) -> tuple[tuple[str, ...], int]:
    root = ElementTree.parse(report).getroot()
    failures = tuple(found.get("message", "") for found in root.iter("failure"))
    return failures, sum(1 for _ in root.iter("error"))
