"""Keys: what must differ differs, what must not be read is not there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rag_runtime.caches.keys import answer_key, config_digest, digest, embedding_key, version_key
from rag_runtime.contract.cache import tenant_prefix
from rag_runtime.contract.config import Answering, Database, Retrieval, ServeConfig

TENANT, OTHER = UUID(int=1), UUID(int=2)
CONFIG = ServeConfig(pipeline="a/b", database=Database(schema_="c"), profiles={})


def test_an_answers_key_has_the_parts_of_the_protocol_in_order() -> None:
    key = answer_key(TENANT, "config", "token", ["*"], "question")
    assert key == f"rag:{{{TENANT}}}:answer:config:token:{digest('*')}:{digest('question')}"


def test_each_part_of_a_key_tells_answers_apart() -> None:
    base = ("config", "token", ["*"], "question")
    others = [("x", *base[1:]), (base[0], "x", *base[2:]), (*base[:2], ["*", "staff"], base[3]), (*base[:3], "x")]
    keys = {answer_key(TENANT, *base), answer_key(OTHER, *base), *(answer_key(TENANT, *other) for other in others)}
    assert len(keys) == 6


def test_the_order_of_an_acl_does_not_matter_and_its_entries_do_not_run_together() -> None:
    assert answer_key(TENANT, "", "", ["a", "b"], "") == answer_key(TENANT, "", "", ["b", "a"], "")
    assert answer_key(TENANT, "", "", ["a", "b"], "") != answer_key(TENANT, "", "", ["ab"], "")


def test_no_key_holds_the_question() -> None:
    for key in (answer_key(TENANT, "", "", [], "salary"), embedding_key("profile", "salary"), version_key(TENANT)):
        assert "salary" not in key


def test_a_tenants_own_keys_and_no_others_begin_with_its_prefix() -> None:
    for key in (answer_key(TENANT, "config", "token", ["*"], "question"), version_key(TENANT)):
        assert key.startswith(tenant_prefix(TENANT))
        assert not key.startswith(tenant_prefix(OTHER))
    assert not embedding_key("profile", "question").startswith(tenant_prefix(TENANT))


def test_no_prefix_begins_another_or_has_a_mark_of_a_pattern() -> None:
    prefixes = [tenant_prefix(UUID(int=number)) for number in range(300)]
    assert len(set(prefixes)) == len(prefixes)
    assert {len(prefix) for prefix in prefixes} == {len(prefixes[0])}
    assert not set("*?[]\\^") & set("".join(prefixes))


def test_only_settings_that_shape_answers_void_the_cache() -> None:
    changed: list[dict[str, Any]] = [{"retrieval": Retrieval(top_k=3)}, {"answering": Answering(no_answer="no")}]
    digests = {config_digest(CONFIG.model_copy(update=change)) for change in changed} | {config_digest(CONFIG)}
    assert len(digests) == 3
    assert config_digest(CONFIG.model_copy(update={"pipeline": "x/y"})) == config_digest(CONFIG)
