"""Mutations of who may use a pipeline from another namespace, and of what keeps such tenants apart."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

OPERATOR = "operator/rag_operator"
TENANTS = "integration/operator/test_tenants_in_other_namespaces.py"
LET_GO = "integration/operator/test_nobody_is_let_go_before_answers_are_closed.py"
FIRST = "integration/operator/test_a_pipeline_waits_for_its_guests_from_their_first_moment.py"
BUILD = "unit/build/test_tenants_in_other_namespaces.py"

MUTATIONS = (
    Mutation(
        "every namespace may use a pipeline",
        "whoever may create a RagTenant anywhere spends the pipeline's models and storage",
        f"{OPERATOR}/engine/allowance.py",
        "    if live is not None and await _allows(context, live, own):\n",
        "    if live is not None:\n",
        f"{TENANTS}::test_a_tenant_that_is_not_allowed_is_told_so_and_nothing_is_made_and_nothing_given_away",
        api=True,
    ),
    Mutation(
        "a missing pipeline is told from one that does not allow",
        "names of pipelines in other namespaces can be tried out",
        f"{OPERATOR}/engine/allowance.py",
        '    message = (\n        f"spec.pipelineRef: RagPipeline',
        '    message = str(live is None) + (\n        f"spec.pipelineRef: RagPipeline',
        f"{TENANTS}::test_a_tenant_that_is_not_allowed_is_told_so_and_nothing_is_made_and_nothing_given_away",
        api=True,
    ),
    Mutation(
        "a tenant that is no longer allowed answers on",
        "an allow-list that is withdrawn withdraws nothing",
        f"{OPERATOR}/engine/allowance.py",
        "        await deactivate(tx, key.namespace, key.name)\n",
        "",
        f"{TENANTS}::test_a_label_opens_and_closes_at_once_and_the_data_stay",
        api=True,
    ),
    Mutation(
        "what a pipeline names is not looked for beside a tenant",
        "pods wait for a Secret in vain, and nobody is told which",
        f"{OPERATOR}/engine/tenants.py",
        " or await missing_beside(api, pipeline, tenant)",
        "",
        f"{TENANTS}::test_what_the_pipeline_names_is_looked_for_beside_the_tenant_and_never_copied",
        api=True,
    ),
    Mutation(
        "slots are counted beside the pipeline only",
        "tenants of other namespaces are ingested all at once",
        f"{OPERATOR}/engine/runs.py",
        "            places = self._context.settings.watch_namespaces or (None,)\n",
        "            pass\n",
        f"{TENANTS}::test_slots_are_counted_over_all_namespaces",
        api=True,
    ),
    Mutation(
        "strangers hold up a pipeline's deletion",
        "anybody's RagTenant keeps a pipeline, and its namespace, from going",
        f"{OPERATOR}/engine/pipeline_deletion.py",
        "                    elif await self._holds(tenant, key, catalog):\n",
        "                    else:\n",
        f"{TENANTS}::test_a_tenant_that_is_not_allowed_is_told_so_and_nothing_is_made_and_nothing_given_away",
        api=True,
    ),
    Mutation(
        "guests are known by the pipeline's status alone",
        "a pipeline that is deleted before its first status leaves guests behind whose answers nobody closes",
        f"{OPERATOR}/engine/pipeline_deletion.py",
        "        return known or (str(binding.catalog.catalog) if binding else None)\n",
        """        return known or ""\n""",
        f"{FIRST}::test_before_the_pipelines_first_status",
        api=True,
    ),
    Mutation(
        "a guest that is being given its part is not waited for",
        "its pipeline goes, and nothing is left that could close it",
        f"{OPERATOR}/engine/pipeline_deletion.py",
        "        if held is None:\n            return await ",
        "        if held is None:\n            return False and await ",
        f"{FIRST}::test_before_the_guests_first_status",
        api=True,
    ),
    Mutation(
        "tenants elsewhere are known by their pipeline's name alone",
        "pods of another pipeline of that name reach this one's database",
        f"{OPERATOR}/build/common.py",
        "    return own | {names.LABEL_PIPELINE_NAMESPACE: pipeline.metadata.namespace}\n",
        "    return own\n",
        f"{BUILD}::test_pods_of_a_pipeline_of_the_same_name_elsewhere_do_not_reach_it",
    ),
    Mutation(
        "the database is open to every namespace",
        "a policy that names no namespace lets in whoever wears our labels",
        f"{OPERATOR}/build/network.py",
        "    chosen = namespaces.selector.to_dict() if namespaces.selector else {}\n",
        "    chosen: Manifest = {}\n",
        f"{BUILD}::test_guests_of_allowed_namespaces_reach_the_database_and_those_of_others_do_not",
    ),
    Mutation(
        "a closed tenant is opened for another of its name",
        "a tenant that was made anew is given its predecessor's data",
        f"{OPERATOR}/stores/tenants.py",
        "    if row.state == DEACTIVATED and row.uid == request.uid:\n",
        "    if row.state == DEACTIVATED:\n",
        "integration/stores/test_a_tenant_comes_and_goes.py"
        "::test_a_closed_tenant_is_opened_again_for_the_same_resource_and_no_other",
    ),
    Mutation(
        "a guest is let go though its database may answer yet",
        "its API keys stay valid and nothing is erased, because an operator was replaced meanwhile",
        f"{OPERATOR}/engine/deletion.py",
        "        if tried < (LAST_TRIES",
        "        if tried < 0 * (LAST_TRIES",
        f"{LET_GO}::test_an_operator_that_was_killed_closes_a_guest_whose_namespace_went_meanwhile[Retain-left0]",
        api=True,
    ),
    Mutation(
        "a guest waits for ever for a database elsewhere",
        "a namespace never ends, because the database of another one's pipeline is gone for good",
        f"{OPERATOR}/engine/deletion.py",
        "        if tried < (LAST_TRIES",
        "        if tried < 1000 + (LAST_TRIES",
        f"{LET_GO}::test_a_database_elsewhere_that_is_gone_for_good_is_waited_for_some_time_only",
        api=True,
    ),
    Mutation(
        "what was bound is forgotten with its Secret",
        "a namespace whose Secrets go first lets tenants go with their answers open",
        f"{OPERATOR}/engine/pipelines.py",
        "                    self._context.reached[key] = before\n",
        "                    pass\n",
        f"{LET_GO}::test_a_database_whose_secret_goes_before_all_else_of_its_namespace_is_still_written_to[Retain-left0]",
        api=True,
    ),
    Mutation(
        "the pipeline's deletion policy is that of its last good spec",
        "data are erased that the pipeline's owner said to keep, since another field was wrong",
        f"{OPERATOR}/engine/deletion.py",
        "        pipeline = await self._context.api.get(PIPELINE, home.namespace, home.name)\n",
        "        known = self._context.bindings[home].pipeline.spec\n"
        '        pipeline = {"spec": {"deletionPolicy": str(known.deletion_policy)}}\n',
        f"{LET_GO}::test_data_are_kept_where_the_pipeline_said_so_last_though_its_spec_is_refused",
        api=True,
    ),
)
