"""Mutations of what brings back our fields that another hand changed, and leaves alone what others add."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

APPLY = "operator/rag_operator/kube/apply.py"
CLAIM = "operator/rag_operator/kube/claim.py"
BESIDE = "integration/kube/test_what_another_puts_beside_our_fields_goes.py"
SECRETS = "integration/kube/test_what_is_ours_of_a_secret_comes_back.py"
CHILDREN = "integration/operator/test_two_resources_become_all_their_children.py"

MUTATIONS = (
    Mutation(
        "what is refused beside our fields stays",
        "`kubectl set env` of our variable stays in the pods, and no apply of ours is taken any more",
        APPLY,
        "        if entries is None:\n",
        "        if True:\n",
        f"{BESIDE}::test_it_goes_at_once_and_nothing_else_changes",
        api=True,
    ),
    Mutation(
        "all that others added goes with what is refused",
        "a mesh's sidecar and variables are lost to somebody else's edit",
        CLAIM,
        " if any(map(one.is_meant, complaints))]",
        "]",
        f"{BESIDE}::test_it_goes_at_once_and_nothing_else_changes",
        api=True,
    ),
    Mutation(
        "what is refused is claimed and left to its owner too",
        "an apply leaves it alone as before",
        CLAIM,
        'reduce(_without, taken, entry["fieldsV1"])',
        'entry["fieldsV1"]',
        f"{BESIDE}::test_what_came_back_is_ours_alone_and_goes_when_we_want_it_no_longer",
        api=True,
    ),
    Mutation(
        "the second refusal is told",
        "a person reads of the half that remains, and not of the edit",
        APPLY,
        "            raise refusal from None\n",
        "            raise\n",
        f"{BESIDE}::test_what_is_refused_all_the_same_is_told_as_at_first_and_not_written_again",
        api=True,
    ),
    Mutation(
        "a Secret that another hand changed stays so",
        "ingestion connects to where somebody pointed it",
        APPLY,
        "{} if held == wanted else gone | wanted)",
        "{})",
        f"{CHILDREN}::test_drift_of_any_child_is_corrected",
        api=True,
    ),
    Mutation(
        "labels that another hand took from a Secret stay away",
        "who lists what belongs to a pipeline by its labels misses its logins",
        APPLY,
        '    due: Object = {"labels": labels} if labels else {}\n',
        "    due: Object = {}\n",
        f"{SECRETS}::test_our_labels_come_back_and_those_of_others_stay",
        api=True,
    ),
    Mutation(
        "our owner takes the place of others'",
        "what another owns beside us is collected while it is in use",
        APPLY,
        """[o for o in live["ownerReferences"] if str(o["uid"]) not in ours] + owners""",
        "owners",
        f"{SECRETS}::test_our_owner_comes_back_as_it_was_beside_another",
        api=True,
    ),
    Mutation(
        "a volume that was kept is another's",
        "who changes Retain to Delete is told to delete the volume, and nothing is bound any more",
        APPLY,
        "    if kind is CLAIM and not _owners(live):\n",
        "    if False:\n",
        "integration/operator/test_a_policy_takes_the_volume_along_or_leaves_it.py"
        "::test_a_changed_policy_takes_the_volume_along_and_leaves_it_again",
        api=True,
    ),
    Mutation(
        "admission that does not know our kinds yet is a refusal",
        "the first pipeline of an installation says that it is refused",
        "operator/rag_operator/kube/errors.py",
        " or (status == 403 and NOT_KNOWN_YET in message)",
        "",
        "integration/operator/test_owners_come_back_where_admission_guards_them.py"
        "::test_an_owner_of_a_kind_that_admission_does_not_know_yet_is_a_matter_of_time",
        api=True,
    ),
)
