"""Mutations of what decides whether the volume of a managed database goes with its pipeline."""

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
)
