from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_operator.api import names
from rag_operator.api.formats import Label

LABELS = st.from_regex(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
LONG = st.builds(lambda start, end: start + end, st.just("a" * 58), st.from_regex(r"[a-z0-9]{5}", fullmatch=True))
SUFFIXES = names.PIPELINE_SUFFIXES + names.TENANT_SUFFIXES


def test_no_suffix_ends_with_another() -> None:
    assert not [pair for pair in itertools.permutations(SUFFIXES, 2) if pair[0].endswith(f"-{pair[1]}")]
    assert len(set(SUFFIXES)) == len(SUFFIXES)


@given(LABELS | LONG, LABELS | LONG, st.sampled_from(SUFFIXES), st.sampled_from(SUFFIXES))
def test_two_owners_never_get_the_same_child(one: str, other: str, suffix: str, other_suffix: str) -> None:
    same = names.child(one, suffix) == names.child(other, other_suffix)
    assert same == ((one, suffix) == (other, other_suffix))


def test_tenants_that_differ_at_the_end_only_have_different_cron_jobs() -> None:
    made = {names.ingest("a" * 60 + end) for end in ("aaa", "aab", "b")}
    assert len(made) == 3


def test_a_cut_name_is_still_a_name_and_does_not_change() -> None:
    name = names.ingest("a" * 35 + "-" + "b" * 27)
    assert name == "a" * 35 + "-d02cc098-ingest"


@given(LABELS)
def test_every_child_of_a_tenant_fits(tenant: str) -> None:
    assert len(names.ingest(tenant)) <= names.MAX_CRONJOB_NAME
    children = [names.ingest, names.api_key_secret, names.ingest_database_secret]
    whole = [child(tenant) for child in children] + [
        names.ingest_config(tenant, "0" * 64),
        names.ingest_job(tenant, "1"),
    ]
    assert all(Label.accepts(name) and len(name) <= names.MAX_LABEL for name in whole)


@given(LABELS.filter(lambda name: len(name) <= names.MAX_PIPELINE_NAME))
def test_every_child_of_a_pipeline_fits_uncut(pipeline: str) -> None:
    children = [names.query, names.query_database_secret, names.cache, names.postgres, names.query_service]
    whole = [child(pipeline) for child in children] + [names.runtime_config(pipeline, "0" * 64)]
    assert all(name.startswith(pipeline) and len(name) <= names.MAX_LABEL for name in whole)


def test_a_selector_is_part_of_the_labels() -> None:
    labels = names.pipeline_labels("support", names.COMPONENT_QUERY)
    assert names.pipeline_selector("support", names.COMPONENT_QUERY).items() <= labels.items()
    assert names.LABEL_TENANT in names.tenant_labels("support", "acme", names.COMPONENT_INGEST)


def test_the_endpoint_is_the_pipelines_own_name() -> None:
    assert names.query_endpoint("support", "rag") == "http://support.rag.svc:8000"


@pytest.mark.parametrize("suffix", names.RESERVED_SUFFIXES)
def test_reserved_suffixes_are_suffixes(suffix: str) -> None:
    assert suffix in names.PIPELINE_SUFFIXES
