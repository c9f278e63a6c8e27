"""Our own code is changed, one protection less at a time: each time a test must fail, or nothing protects it."""

from __future__ import annotations

import re
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


@pytest.mark.integration
@pytest.mark.parametrize(
    "mutation", [m for m in MUTATIONS if ALL or m.name in SAMPLE], ids=lambda mutation: mutation.name
)
def test_it_is_noticed_that(mutation: Mutation, request: pytest.FixtureRequest, testrun: str, tmp_path: Path) -> None:
    if mutation.api:
        request.getfixturevalue("api")
    mutant.copy_to(tmp_path, mutation)
    assert mutant.place_of(tmp_path, mutation.module) == tmp_path / mutation.file
    outcome = mutant.run(tmp_path, [mutation.killed_by], testrun)
    assert outcome.noticed, f"{mutation.name}: {mutation.why}\n{outcome.output}"


@pytest.mark.integration
@pytest.mark.skipif(not ALL, reason="the same tests run by themselves in `make test`")
@pytest.mark.parametrize("api", [False, True], ids=["without an API server", "with one"])
def test_the_same_tests_pass_on_a_copy_without_a_change(
    api: bool, request: pytest.FixtureRequest, testrun: str, tmp_path: Path
) -> None:
    if api:
        request.getfixturevalue("api")
    mutant.copy_to(tmp_path, None)
    tests = dict.fromkeys(mutation.killed_by for mutation in MUTATIONS if mutation.api is api)
    outcome = mutant.run(tmp_path, tests, testrun)
    assert outcome.code == 0, outcome.output
