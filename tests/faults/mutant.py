"""Runs tests against a copy of our packages in which one thing was changed, or nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.cluster.lock import in_turn
from tests.faults.mutations.mutation import Mutation

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("operator/rag_operator", "runtime/rag_runtime")
SECONDS = 900.0
"""For one test: more than all that it waits for."""
SLIPS = ("NameError", "AttributeError", "ImportError", "ModuleNotFoundError", "SyntaxError", "TypeError", "Unbound")
"""What a mutant raises that is merely broken: no test is any good for noticing that."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the tests ended: pytest's exit code, the failures' first lines, how many ended as what.

    Errors broke outside of a test's body.
    """

    code: int
    failures: tuple[str, ...] = ()
    errors: int = 0
    skipped: int = 0
    passed: int = 0
    output: str = ""

    @property
    def all_passed(self) -> bool:
        """Whether there was a test at all, and each that there was ran and passed."""
        return self.code == 0 and self.passed > 0 and not self.skipped

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


def tried(mutation: Mutation, folder: Path, shared: Path, run_id: str) -> Outcome:
    """How its test ends with the mutation, on a copy in `folder`; of the run without it, `shared` tells.

    AssertionError where the test doesn't pass without: its failure would say nothing of the mutation.
    """
    before = unchanged(shared, mutation.killed_by, run_id)
    assert before.all_passed, (
        f"{mutation.killed_by} does not pass on the unchanged code, so that it notices no mutation: mend the test, or "
        f"name another in killed_by of: {mutation.name}\n{before.output}"
    )
    copy_to(folder, mutation)
    assert place_of(folder, mutation.module) == folder / mutation.file
    return run(folder, mutation.killed_by, run_id)


def copy_to(folder: Path, mutation: Mutation | None) -> None:
    """Our packages, below the folders that they have in the repository; with the mutation, if there is one."""
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, folder / package)
    if mutation is not None:
        (folder / mutation.file).write_text(mutated(mutation))


def run(folder: Path, test: str, run_id: str) -> Outcome:
    """Run a test with the copy in `folder` before all else; it shares the API server of the test run `run_id`."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--junitxml={report}"]
    try:
        done = subprocess.run(
            [*command, f"tests/{test}"],
            cwd=REPOSITORY,
            env=_environment(folder, run_id),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(code=1, output=f"has not ended within {SECONDS:.0f} s")
    output = (done.stdout + done.stderr)[-4000:]
    return _read(report, done.returncode, output) if report.exists() else Outcome(done.returncode, output=output)


def unchanged(folder: Path, test: str, run_id: str) -> Outcome:
    """How the test ends on our packages as they are; run once for all processes that say the same `folder`."""
    known = folder / hashlib.sha256(test.encode()).hexdigest()[:16]
    result = known / "outcome.json"
    with in_turn(known.with_suffix(".lock")):
        if not result.exists():
            copy_to(known, None)
            result.write_text(json.dumps(asdict(run(known, test, run_id))))
    return Outcome(**json.loads(result.read_text()))


def place_of(folder: Path, module: str) -> Path:
    """Where the module is imported from."""
    code = f"import {module} as found; print(found.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=_environment(folder, ""), capture_output=True, text=True, check=True
    )
    return Path(done.stdout.strip())


def _environment(folder: Path, run_id: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    path = [str(folder / package.split("/")[0]) for package in PACKAGES]
    return kept | {
        "PYTHONPATH": os.pathsep.join([*path, str(REPOSITORY)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_XDIST_TESTRUNUID": run_id,
        "RAG_FAULTS": "all",
    }


def _read(report: Path, code: int, output: str) -> Outcome:
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failures = tuple(found.get("message", "") for case in cases for found in case.iter("failure"))
    errors, skipped = (sum(case.find(kind) is not None for case in cases) for kind in ("error", "skipped"))
    passed = sum(all(case.find(kind) is None for kind in ("failure", "error", "skipped")) for case in cases)
    return Outcome(code, failures, errors, skipped, passed, output)
