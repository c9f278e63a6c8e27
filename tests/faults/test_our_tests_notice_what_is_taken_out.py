"""Our own code is changed, one protection less at a time: each time a test must fail, or nothing protects it."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults import mutant
from tests.faults.mutations import MUTATIONS, Mutation
from tests.faults.script import ALL

SAMPLE = (
    "a key is worked on by two workers at once",
    "an echo is told by the key alone",
    "a configuration is named by its pipeline, not by its content",
    "the fence looks at no epoch",
    "a promotion does not look at what is active",
    "a revision goes while a pod reads it",
    "a batch is committed whatever the watermark is",
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_table_fits_the_code(mutation: Mutation) -> None:
    assert mutant.mutated(mutation)
    path, _, name = mutation.killed_by.partition("::")
    text = (mutant.REPOSITORY / "tests" / path).read_text()
    assert re.search(rf"^(async )?def {name.partition('[')[0]}\(", text, re.MULTILINE), mutation.killed_by


def test_names_are_unique_and_the_sample_is_of_the_table() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert len(set(names)) == len(names)
    assert set(SAMPLE) <= set(names)


@pytest.fixture(scope="session")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all workers of this run keep how tests ended without a mutation."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "unchanged"


@pytest.mark.integration
@pytest.mark.parametrize(
    "mutation", [m for m in MUTATIONS if ALL or m.name in SAMPLE], ids=lambda mutation: mutation.name
)
def test_it_is_noticed_that(
    mutation: Mutation, request: pytest.FixtureRequest, testrun: str, unchanged: Path, tmp_path: Path
) -> None:
    if mutation.api:
        request.getfixturevalue("api")
    outcome = mutant.tried(mutation, tmp_path, unchanged, testrun)
    assert outcome.noticed, f"{mutation.name}: {mutation.why}\n{outcome.output}"


@pytest.mark.parametrize(
    ("body", "name"),
    [("assert not test", "it"), ("pytest.skip('a program is missing')", "it"), ("assert test", "another")],
    ids=["fails", "is skipped", "is not there"],
)
def test_no_mutation_is_judged_by_a_test_that_without_it(body: str, name: str, tmp_path: Path) -> None:
    named = replace(MUTATIONS[0], killed_by=f"{_test_file(tmp_path, body)}::test_{name}")
    with pytest.raises(AssertionError, match=f"test_{name} does not pass on the unchanged code"):
        mutant.tried(named, tmp_path, tmp_path / "unchanged", "none")


def test_a_test_that_passes_with_the_mutation_too_has_not_noticed_it_and_is_run_once_without(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    path = _test_file(tmp_path, f"open({str(runs)!r}, 'a').write('x')")
    named = replace(MUTATIONS[0], killed_by=f"{path}::test_it")
    assert not mutant.tried(named, tmp_path / "first", tmp_path / "unchanged", "none").noticed
    assert not mutant.tried(named, tmp_path / "second", tmp_path / "unchanged", "none").noticed
    assert runs.read_text() == "xxx", "once without, once with each mutation"


def _test_file(folder: Path, body: str) -> str:
    """A file with one test, `test_it`, as the table would name it: from the folder `tests`."""
    path = folder / "test_witness.py"
    path.write_text(f"import pytest\n\ndef test_it():\n    test = True\n    {body}\n")
    return os.path.relpath(path, mutant.REPOSITORY / "tests")
