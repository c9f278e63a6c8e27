"""Mutations of what becomes of a managed database, its volume and its tenants when the pipeline is deleted."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

VOLUME = "operator/rag_operator/engine/volume.py"
POLICY = "integration/operator/test_a_volume_goes_or_stays_as_the_policy_says_last.py"

MUTATIONS = (
    Mutation(
        "a volume goes by the policy that was seen last",
        "data that the user said to keep while the pipeline was paused are deleted",
        VOLUME,
        "    if due != owners:\n",
        "    if due and due != owners:\n",
        f"{POLICY}::test_it_stays_where_retain_was_said[_while_paused]",
        api=True,
    ),
    Mutation(
        "a volume that is to go is not taken along",
        "data that the user said to delete stay on a disk that nobody looks at",
        VOLUME,
        "    if due != owners:\n",
        "    if not due and due != owners:\n",
        f"{POLICY}::test_it_goes_where_delete_was_said[_while_paused]",
        api=True,
    ),
    Mutation(
        "a volume is the pipeline's by its name",
        "what an earlier pipeline was told to keep goes with the next of its name",
        VOLUME,
        "    return bool(bound) and ",
        "    return ",
        f"{POLICY}::test_what_an_earlier_pipeline_left_is_not_taken_along_and_is_found_again",
        api=True,
    ),
    Mutation(
        "a managed database that is gone is waited for",
        "a pipeline deleted in the foreground and its tenants never go",
        "operator/rag_operator/engine/deletion.py",
        "        return None in parts\n",
        "        return False\n",
        "integration/operator/test_tenants_of_a_pipeline_deleted_in_the_foreground_are_let_go.py"
        "::test_tenants_are_released_and_it_is_told",
        api=True,
    ),
)
