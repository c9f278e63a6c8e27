"""DATA §5: after any series of updates the lexical tables say what a fresh build over the same documents says."""

from __future__ import annotations

import random

from rag_runtime.contract.config import IndexType
from tests.integration.ingest.harness import SHAPE, Desk, other

WORDS = ["apple", "bridge", "cloud", "drum", "eagle", "forest", "garden", "harbour", "island", "jungle", "kettle"]


def _terms(desk: Desk, revision: int) -> list[tuple[object, ...]]:
    return desk.rows(f"SELECT term, df FROM {{s}}.term_r{revision} WHERE df > 0 ORDER BY 1")


def _postings(desk: Desk, revision: int) -> list[tuple[object, ...]]:
    return desk.rows(
        f"SELECT t.term, c.path, c.ordinal FROM {{s}}.post_r{revision} p"
        f" JOIN {{s}}.term_r{revision} t ON t.id = p.term_id"
        f" JOIN {{s}}.chunk_r{revision} c ON c.id = p.chunk ORDER BY 1, 2, 3"
    )


def _text(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(3, 90)))


async def test_terms_frequencies_postings_and_counts_equal_those_of_a_rebuild(desk: Desk) -> None:
    chance = random.Random(3)
    desk.write(**{f"page{i}": _text(chance) for i in range(12)})
    await desk.run()
    desk.promote()
    present = {f"page{i}" for i in range(12)}
    for round_ in range(6):
        desk.write(**{name: _text(chance) for name in chance.sample(sorted(present), 3)}, **{f"new{round_}": "zebra"})
        gone = chance.sample(sorted(present), 1)
        desk.remove(*gone)
        present.difference_update(gone)
        desk.configure_source(acl=[f"group-{round_}"])
        await desk.run()
    rebuilt = other(SHAPE.model_copy(update={"type": IndexType.FLAT}))
    desk.configure(shape=rebuilt)
    await desk.run()
    assert _terms(desk, 1) == _terms(desk, 2)
    assert _postings(desk, 1) == _postings(desk, 2)
    assert len(_postings(desk, 1)) == desk.one("SELECT count(*) FROM {s}.post_r1"), "no posting without its chunk"
    assert desk.one("SELECT n FROM {s}.stat_r1") == desk.one("SELECT n FROM {s}.stat_r2")
    assert desk.one("SELECT count(*) FROM {s}.stat_r1") == 1


async def test_weights_follow_bm25_with_the_average_length_of_the_build(desk: Desk) -> None:
    desk.write(a="apple apple bridge", b="cloud")
    await desk.run()
    rows = desk.rows(
        "SELECT c.path, t.term, p.w, s.avgdl FROM {s}.post_r1 p JOIN {s}.term_r1 t ON t.id = p.term_id"
        " JOIN {s}.chunk_r1 c ON c.id = p.chunk, {s}.stat_r1 s ORDER BY 1, 2"
    )
    frequency = {("a.md", "appl"): 2, ("a.md", "bridg"): 1, ("a.md", "a"): 1, ("b.md", "cloud"): 1, ("b.md", "b"): 1}
    average = rows[0][3]
    length = {path: sum(1 * tf for (p, _), tf in frequency.items() if p == path) for path in ("a.md", "b.md")}
    for path, term, weight, _ in rows:
        if (path, term) not in frequency:
            continue
        tf = frequency[path, term]
        assert abs(weight - tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length[path] / average))) < 0.25
