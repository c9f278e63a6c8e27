"""Mutations of what a reconcile learns of its resource as it begins, and tells where it fails."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

OPERATOR = "operator/rag_operator"
FAILING = "integration/operator/test_a_reconcile_that_keeps_failing_says_so.py"
WORDS = "unit/decide/test_a_reconcile_that_fails_is_told.py"

MUTATIONS = (
    Mutation(
        "what a look finds gone stays known",
        "a tenant that went while a list of it was on its way is counted until the list after that",
        f"{OPERATOR}/engine/resource.py",
        "live is None and registry.found_gone(key, delivered)",
        "False",
        "faults/test_who_comes_during_a_resync_is_not_forgotten.py::test_who_went_meanwhile_is_not_brought_back",
        api=True,
    ),
    Mutation(
        "what a look finds gone is forgotten though a watch has told of it since",
        "one made anew under its name is counted by nobody until the next list",
        f"{OPERATOR}/engine/registry.py",
        "self.knows(key) and self.delivered.get(key) == delivered",
        "self.knows(key)",
        "unit/engine/test_the_registry_counts_what_was_read_last.py"
        "::test_what_a_look_finds_gone_is_forgotten_unless_a_watch_has_told_of_it_since_the_look_began",
    ),
    Mutation(
        "a reconcile that fails for hours is in the log alone",
        "a webhook that does not answer leaves a pipeline without a status, and nobody knows why",
        f"{OPERATOR}/engine/controller.py",
        "        await self._failing.note(key, failure.why, time.monotonic())\n",
        "",
        f"{FAILING}::test_a_pipeline_names_the_webhook_that_does_not_answer",
        api=True,
    ),
    Mutation(
        "what was told of failures stays where the next look says nothing",
        "a tenant of a paused pipeline reads as failing for as long as the pause lasts",
        f"{OPERATOR}/engine/controller.py",
        "        await self._failing.over(key)\n",
        "",
        f"{FAILING}::test_a_tenant_does_and_keeps_no_trace_of_it_while_its_pipeline_is_paused",
        api=True,
    ),
    Mutation(
        "a child that answers do without stops all else",
        "a webhook of monitors that is down keeps every new pipeline from being Ready",
        f"{OPERATOR}/engine/refusals.py",
        "OF_AN_EXTRA = (*REFUSALS, ApiUnavailableError)",
        "OF_AN_EXTRA = REFUSALS",
        "integration/optional/test_monitors_are_made_where_the_cluster_has_them.py"
        "::test_a_webhook_of_monitors_that_does_not_answer_stops_nothing_else",
        api=True,
    ),
    Mutation(
        "what answers is said not to where its reconcile fails",
        "an outage of the API server's webhooks pages people for a service that answers",
        f"{OPERATOR}/decide/failing.py",
        "    if is_true(said, ConditionType.READY):\n",
        "    if False:\n",
        f"{WORDS}::test_what_answers_goes_on_to_and_is_degraded",
    ),
    Mutation(
        "an error that nobody expected is told by its text",
        "a password that stands in it is in the status, for whoever may read the resource",
        f"{OPERATOR}/decide/failing.py",
        'f"{type(error).__name__}, which',
        'f"{error}, which',
        f"{WORDS}::test_the_text_of_an_error_that_nobody_expected_is_not_shown",
    ),
)
