"""The documentation names only what exists: files, tests, make targets, metrics, conditions and reasons."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from rag_operator.api.conditions import ConditionStatus, ConditionType, Reason

REPOSITORY = Path(__file__).parents[3]
GENERATED = REPOSITORY / "docs" / "api-reference.md"
FEATURES = {"A": 15, "B": 8, "C": 10, "D": 7, "E": 12, "F": 8, "G": 4, "H": 8}
"""How many rows each letter has: A1 to A15, B1 to B8 and so on."""
DONE, PARTLY, OPEN = "✓", "◐", "–"  # noqa: RUF001  the sign of the table, not a hyphen

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
ROOMS = r"operator|runtime|tests|charts|crds|docs|examples|locks|\.ci"
PATH = re.compile(rf"(?<![\w/.<>*-])(?:{ROOMS})/[\w./*<>…-]*[\w>*/…]")
FILE = re.compile(r"(?<![\w/.-])(?:README\.md|CHANGELOG\.md|LICENSE|Makefile|pyproject\.toml)(?![\w-])")
PLACEHOLDER = re.compile(r"[<>*…]|NNNN")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
ROW = re.compile(r"^\| ([A-H]\d+) \| (\S+) \|(.*)\|$", re.MULTILINE)
TEST = re.compile(r"tests/[\w./-]+\.py")
CONDITION = re.compile(r"\b([A-Z]\w+)=(True|False|Unknown)(?:/([A-Z]\w+))?")
METRIC = re.compile(r"\brag_(?:operator|query|cache|retrieval|model|breaker|catalog|reader)_[a-z_]+[a-z]\b(?!\*)")
DECLARED = re.compile(r"\"(rag_[a-z]+_[a-z_]+)\"")
METRIC_MODULES = (
    "operator/rag_operator/engine/figures.py",
    "operator/rag_operator/engine/metrics.py",
    "operator/rag_operator/kube/metrics.py",
    "operator/rag_operator/stores/metrics.py",
    "runtime/rag_runtime/contract/metrics.py",
)


def pages() -> list[Path]:
    """Every page that a person writes or reads."""
    return [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def shown(page: Path) -> str:
    """The page's path in the repository."""
    return str(page.relative_to(REPOSITORY))


@cache
def text_of(page: Path) -> str:
    """The page's text."""
    return page.read_text(encoding="utf-8")


@cache
def anchors(page: Path) -> frozenset[str]:
    """The fragments that a page's headings give, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)


def mentioned(page: Path) -> set[str]:
    """Paths of this repository in a page's code spans and blocks."""
    code = "\n".join(CODE.findall(text_of(page)))
    found = set(PATH.findall(code)) | set(FILE.findall(code))
    return {path.rstrip("/.") for path in found if not PLACEHOLDER.search(path)}


def feature_rows() -> list[tuple[str, str, str]]:
    """Id, state and the rest of each row of the table of features."""
    return ROW.findall(text_of(REPOSITORY / "docs" / "features.md"))


@pytest.mark.parametrize("page", pages(), ids=shown)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    for target in LINK.findall(text_of(page)):
        if "://" in target:
            continue
        name, _, fragment = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{shown(page)} links to {target}"
        assert not fragment or fragment in anchors(file), f"{shown(page)} links to {target}: no such heading"


@pytest.mark.parametrize("page", [page for page in pages() if page != GENERATED], ids=shown)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    missing = sorted(path for path in mentioned(page) if not (REPOSITORY / path).exists())
    assert not missing, f"{shown(page)} names what is not there"


def test_every_feature_has_exactly_one_row_in_order() -> None:
    wanted = [f"{letter}{number}" for letter, count in FEATURES.items() for number in range(1, count + 1)]
    assert [identifier for identifier, _, _ in feature_rows()] == wanted


def test_a_row_that_is_done_names_a_test_and_one_that_is_open_names_none() -> None:
    for identifier, state, rest in feature_rows():
        tests = TEST.findall(rest)
        assert state in (DONE, PARTLY, OPEN), f"{identifier}: {state}"
        assert tests or state != DONE, f"{identifier} is said to be done and no test proves it"
        assert not tests or state != OPEN, f"{identifier} is said to be open and has a test: say what works"


def test_what_is_partly_there_says_what_lacks() -> None:
    for identifier, state, rest in feature_rows():
        if state == PARTLY:
            assert "Lacks" in rest, identifier


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = REPOSITORY / "docs" / "adr"
    listed = set(LINK.findall(text_of(folder / "README.md")))
    assert listed >= {page.name for page in folder.glob("[0-9]*.md")}


def test_make_targets_that_pages_name_are_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", text_of(REPOSITORY / "Makefile"), re.MULTILINE))
    for page in pages():
        named = set(re.findall(r"(?:`|^)make ([a-z][a-z0-9-]*)", text_of(page), re.MULTILINE))
        assert named <= targets, shown(page)


def test_conditions_and_reasons_that_pages_name_are_those_of_the_api() -> None:
    kinds, words = {str(kind) for kind in ConditionType}, {str(reason) for reason in Reason}
    assert {str(status) for status in ConditionStatus} == {"True", "False", "Unknown"}
    for page in pages():
        for kind, _, reason in CONDITION.findall(text_of(page)):
            assert kind in kinds, f"{shown(page)}: no condition {kind}"
            assert not reason or reason in words, f"{shown(page)}: no reason {reason}"


def test_the_operations_page_lists_every_metric_and_no_other() -> None:
    declared = {name for module in METRIC_MODULES for name in DECLARED.findall(text_of(REPOSITORY / module))}
    listed = set(METRIC.findall(text_of(REPOSITORY / "docs" / "operations.md")))
    assert {re.sub("_(total|bucket)$", "", name) for name in listed} == {
        re.sub("_total$", "", name) for name in declared
    }


def test_the_tests_of_this_file_find_something() -> None:
    assert len(pages()) > 10
    assert "docs/features.md" in mentioned(REPOSITORY / "docs" / "development.md")
    assert LINK.findall(text_of(REPOSITORY / "README.md"))
