"""Mutations of what makes a run of ingestion count as done, and of when another is started."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

RUNS = "operator/rag_operator/engine/runs.py"
ENDED = "integration/operator/test_a_run_that_ended_is_not_taken_for_what_it_left_to_another.py"

MUTATIONS = (
    Mutation(
        "a run that has ended has done what it was for",
        "documents of a source that was removed are answered from for an hour",
        RUNS,
        """if outcome[0] == "Complete" and ingested and _said(job, names.ANNOTATION_REPORTED_BEFORE) != began:""",
        """if outcome[0] == "Complete":""",
        f"{ENDED}::test_sources_that_are_as_they_were_before_are_read_anew",
        api=True,
    ),
    Mutation(
        "what was ingested before a request answers it",
        "what changed since is not read, and the request is never repeated",
        RUNS,
        "and _said(job, names.ANNOTATION_REPORTED_BEFORE) != began:",
        "and True:",
        f"{ENDED}::test_a_run_that_was_asked_for_and_read_nothing_is_started_anew[it could not report]",
        api=True,
    ),
    Mutation(
        "a run is started beside another of its tenant",
        "it leaves the sync to one that has listed the sources before what it was asked for",
        RUNS,
        """            for other in [job for job in running if _tenant(job["metadata"]) == who]:\n""",
        "            for other in ():\n",
        f"{ENDED}::test_a_request_during_a_run_leads_to_another_when_that_is_over",
        api=True,
    ),
    Mutation(
        "a run that ends in vain is started anew every minute",
        "a pinned runtime lists all sources again and again",
        RUNS,
        "RETRY_AFTER * 2**times:",
        "RETRY_AFTER:",
        f"{ENDED}::test_a_run_that_ends_in_vain_is_started_anew_less_and_less_often",
        api=True,
    ),
)
