"""Mutations of what is done to Kubernetes: guards, applies, the Lease, finalizers, deletion, slots."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

KUBE = "operator/rag_operator/kube"
ENGINE = "operator/rag_operator/engine"
READ = "integration/kube/test_only_what_was_read_is_changed.py"
LEASE = "integration/kube/test_of_all_candidates_one_leads.py"
DELETION = "integration/operator/test_deletion_closes_answers_and_hangs_nowhere.py"
CLOCKS = "faults/test_a_wrong_clock_changes_nothing.py"
PROXIES = "integration/operator/test_private_authorities_are_trusted_and_changed.py"
WEATHER = "faults/test_bad_weather_is_waited_out.py"
PAGES = "faults/test_a_page_that_has_expired_is_listed_anew.py"
REPLACED = "faults/test_what_is_replaced_after_a_look_is_left_alone.py"

GUARDS = (
    Mutation(
        "a Secret is made anew wherever a tenant says nothing yet",
        "a tenant whose first look was cut short is never laid",
        f"{ENGINE}/tenants.py",
        "        new = bare and not tenant.status.conditions\n",
        "        new = not tenant.status.conditions\n",
        "integration/operator/test_trouble_becomes_a_condition_and_heals.py"
        "::test_a_secret_under_the_name_of_a_new_tenant_s_is_left_alone_and_named",
        api=True,
    ),
    Mutation(
        "a Secret is made anew wherever a finalizer was taken off",
        "a reinstalled operator tries to write what stands",
        f"{ENGINE}/tenants.py",
        "        new = bare and not tenant.status.conditions\n",
        "        new = bare\n",
        "integration/operator/test_uninstall_and_reinstall.py"
        "::test_released_resources_go_at_once_and_reinstalled_ones_are_taken_up_as_they_are",
        api=True,
    ),
    Mutation(
        "a page of what stands before the server is taken for an error of our own",
        "a portal's page ends the resync, and with it the term",
        f"{KUBE}/client.py",
        """        raise ApiUnavailableError(f"{about}: what was answered is no object of Kubernetes") from error\n""",
        "        raise\n",
        f"{WEATHER}::test_it_ends_where_it_would_have[a proxy answers in its place]",
        api=True,
    ),
    Mutation(
        "a pipeline's pods need no login of the proxies",
        "query pods wait for a Secret in vain, and nobody is told which",
        f"{ENGINE}/pipelines.py",
        "        return Models(unproxied or trusted.check, known, trusted.versions)\n",
        "        return Models(trusted.check, known, trusted.versions)\n",
        f"{PROXIES}::test_a_proxys_login_is_missed_beside_the_pods_and_heals_and_a_changed_one_rolls_nothing",
        api=True,
    ),
    Mutation(
        "a tenant's pods need no login of the proxies",
        "ingestion pods wait for a Secret in vain, and nobody is told which",
        f"{ENGINE}/tenants.py",
        "        return missing or await missing_login(",
        "        return missing and await missing_login(",
        f"{PROXIES}::test_who_calls_nothing_through_a_proxy_needs_no_login",
        api=True,
    ),
    Mutation(
        "a list ends where its token has expired",
        "what the further pages would have shown is taken for gone",
        f"{KUBE}/client.py",
        """            text = await self._call("GET", kind, path, accept=accept, verb="LIST")\n""",
        """            try:\n"""
        """                text = await self._call("GET", kind, path, accept=accept, verb="LIST")\n"""
        """            except Exception:\n"""
        """                return\n""",
        f"{PAGES}::test_nothing_is_missed_and_nothing_is_deleted",
        api=True,
    ),
    Mutation(
        "a deletion is by name",
        "an object that another made under the name meanwhile is destroyed",
        f"{KUBE}/client.py",
        """            "preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]},\n""",
        "",
        f"{READ}::test_what_was_made_anew_under_the_name_is_not_deleted",
        api=True,
    ),
    Mutation(
        "a deletion is by uid, whatever was changed since",
        "what was decided from an object that stands no more so is carried out",
        f"{KUBE}/client.py",
        """            "preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]},\n""",
        """            "preconditions": {"uid": meta["uid"]},\n""",
        f"{READ}::test_what_was_changed_since_it_was_read_is_not_deleted",
        api=True,
    ),
    Mutation(
        "a patch is by name",
        "finalizers that another added meanwhile are taken off",
        f"{KUBE}/client.py",
        """patch.get("metadata", {}) | {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}""",
        """patch.get("metadata", {})""",
        f"{READ}::test_what_was_made_anew_or_changed_is_not_patched",
        api=True,
    ),
    Mutation(
        "a status is written by name",
        "a resource that was made anew gets the status, and the catalog, of the former one",
        f"{KUBE}/status.py",
        """, "resourceVersion": meta["resourceVersion"]}""",
        "}",
        f"{READ}::test_the_status_of_a_resource_that_was_made_anew_is_not_written",
        api=True,
    ),
    Mutation(
        "a status is written though it is so already",
        "an idle operator writes for ever",
        f"{KUBE}/status.py",
        '    if live.get("status", {}) == status:\n        return None\n',
        "",
        f"{READ}::test_a_status_that_is_so_already_is_not_written",
        api=True,
    ),
    Mutation(
        "a child is applied by name",
        "what another put there between the look and the write is taken over by force",
        f"{KUBE}/apply.py",
        """    return manifest | {"metadata": manifest["metadata"] | seen}\n""",
        "    return manifest\n",
        f"{REPLACED}::test_it_is_not_applied_to",
        api=True,
    ),
    Mutation(
        "a child that is another's is taken over",
        "a Service of the user's is changed by force",
        f"{KUBE}/apply.py",
        "    if not wanted or wanted & _owners(live):\n",
        "    if True:\n",
        f"{READ}::test_another_owner_s_child_of_the_name_is_neither_changed_nor_deleted",
        api=True,
    ),
    Mutation(
        "a child that is another's is deleted",
        "an autoscaler of the user's goes, because it bears the name",
        f"{KUBE}/apply.py",
        "    return live if live is not None and owner_uid in _owners(live) else None\n",
        "    return live\n",
        f"{READ}::test_another_owner_s_child_of_the_name_is_neither_changed_nor_deleted",
        api=True,
    ),
    Mutation(
        "an apply gives way to other managers",
        "a field that somebody edited stays as they left it, and the reconcile fails",
        f"{KUBE}/client.py",
        '"force": "true"',
        '"force": "false"',
        f"{READ}::test_a_child_is_applied_once_and_brought_back_when_another_changes_it",
        api=True,
    ),
    Mutation(
        "a child is compared by its stamp alone",
        "what another hand changed stays changed",
        f"{KUBE}/apply.py",
        "_applied(live) == _applied(stamped) and covers(live, stamped):",
        "_applied(live) == _applied(stamped):",
        f"{READ}::test_a_child_is_applied_once_and_brought_back_when_another_changes_it",
        api=True,
    ),
    Mutation(
        "a child is compared by its fields alone",
        "a field that is no longer wanted stays for ever",
        f"{KUBE}/apply.py",
        "_applied(live) == _applied(stamped) and covers(live, stamped):",
        "covers(live, manifest):",
        f"{READ}::test_a_field_that_is_no_longer_wanted_goes",
        api=True,
    ),
    Mutation(
        "a child is applied whether it differs or not",
        "an idle operator writes for ever",
        f"{KUBE}/apply.py",
        "_applied(live) == _applied(stamped) and covers(live, stamped):",
        "False:",
        f"{READ}::test_a_child_is_applied_once_and_brought_back_when_another_changes_it",
        api=True,
    ),
    Mutation(
        "an apply is written as JSON alone",
        "an emoji in a RagTenant keeps its children from being made: the API server reads an apply as YAML",
        f"{KUBE}/client.py",
        """    if "\\\\ud" not in text:\n""",
        "    if True:\n",
        "integration/kube/test_every_character_arrives.py::test_it_is_applied_as_it_is",
        api=True,
    ),
)
LEADERSHIP = (
    Mutation(
        "a Lease's age is told by its renewTime",
        "a holder whose clock is ahead keeps the lead when it is dead",
        f"{KUBE}/lease.py",
        "self.monotonic() - self._seen[1] < DURATION:",
        """(self.wall() - datetime.fromisoformat(str(spec["renewTime"]))).total_seconds() < DURATION:""",
        f"{CLOCKS}::test_a_dead_holder_s_lease_is_taken_after_its_duration_whatever_time_it_was_renewed",
        api=True,
    ),
    Mutation(
        "a failed run's age is told by the machine's clock",
        "where that is ahead, a run that fails is started anew again and again",
        f"{ENGINE}/runs.py",
        "self._context.server_now() - when",
        "self._context.now() - when",
        f"{CLOCKS}::test_a_failed_run_waits_for_its_time_also_where_the_clock_is_ahead",
        api=True,
    ),
    Mutation(
        "a Lease is written whoever renewed it meanwhile",
        "two candidates take it at once",
        f"{KUBE}/lease.py",
        """        meta = live["metadata"] if live else {"name": self.name, "namespace": self.namespace}\n""",
        """        meta = {"name": self.name, "namespace": self.namespace}\n""",
        f"{LEASE}::test_of_ten_at_once_one_takes_a_new_lease_and_one_an_old_one",
        api=True,
    ),
    Mutation(
        "a Lease is taken at once",
        "the holder still leads",
        f"{KUBE}/lease.py",
        """self.monotonic() - self._seen[1] < DURATION:""",
        """self.monotonic() - self._seen[1] < 0:""",
        f"{LEASE}::test_a_lease_is_left_alone_until_its_renewal_has_been_missed_for_its_duration",
        api=True,
    ),
    Mutation(
        "a renewal does not count",
        "a Lease is taken from a holder that renews it",
        f"{KUBE}/lease.py",
        "        if self._seen is None or self._seen[0] != mark:\n",
        "        if self._seen is None:\n",
        f"{LEASE}::test_a_lease_is_left_alone_until_its_renewal_has_been_missed_for_its_duration",
        api=True,
    ),
    Mutation(
        "a leader that lost its Lease goes on",
        "two lead at once",
        f"{KUBE}/lease.py",
        "(self._age > RENEW_LIMIT - PERIOD or self._lost):",
        "self._age > RENEW_LIMIT - PERIOD:",
        f"{LEASE}::test_a_leader_whose_lease_another_has_stops_its_work",
        api=True,
    ),
    Mutation(
        "a leader that can't renew goes on",
        "it writes when another has taken over already",
        f"{KUBE}/lease.py",
        "(self._age > RENEW_LIMIT - PERIOD or self._lost):",
        "self._lost:",
        f"{LEASE}::test_a_leader_that_can_t_renew_stops_before_another_may_start",
        api=True,
    ),
    Mutation(
        "a leader keeps its Lease when it ends",
        "every rolling update of the operator costs a quarter of a minute",
        f"{KUBE}/lease.py",
        "            await self._release()\n",
        "            pass\n",
        f"{LEASE}::test_a_leader_that_ends_hands_over_at_once",
        api=True,
    ),
)
DELETING = (
    Mutation(
        "a tenant has no finalizer",
        "its deletion leaves it answering",
        f"{ENGINE}/tenants.py",
        "        if bare:\n",
        "        if False:\n",
        f"{DELETION}::test_delete_on_both_erases_all",
        api=True,
    ),
    Mutation(
        "a tenant's finalizer comes after its data",
        "deleted at that moment it leaves a schema that nobody erases",
        f"{ENGINE}/tenants.py",
        "        if bare:\n"
        "            live = await add_finalizer(self._context, TENANT, live)\n"
        "            tenant = parse_tenant(live)\n"
        "        try:\n"
        "            return await self._bring(key, live, tenant, bound, new=new)\n",
        "        try:\n"
        "            again = await self._bring(key, live, tenant, bound, new=new)\n"
        "            if bare:\n"
        "                await add_finalizer(self._context, TENANT, live)\n"
        "            return again\n",
        "faults/test_no_data_is_made_before_the_finalizer_is_on.py::test_a_tenant_without_finalizer_has_no_schema",
        api=True,
    ),
    Mutation(
        "a tenant's data is that of its name",
        "the deletion of a tenant erases what an earlier one of the name was told to keep",
        f"{ENGINE}/deletion.py",
        "        if not row.is_of(uid):\n",
        "        if False:\n",
        f"{DELETION}::test_data_that_was_never_adopted_survives_the_deletion_of_its_name_s_next_tenant",
        api=True,
    ),
    Mutation(
        "answers stay open until ingestion has ended",
        "a deleted tenant answers for as long as a Job takes to stop",
        f"{ENGINE}/deletion.py",
        "                await deactivate(tx, key.namespace, key.name, uid)\n",
        "                pass\n",
        f"{DELETION}::test_answers_are_closed_before_ingestion_has_ended_and_the_tenant_goes_afterwards",
        api=True,
    ),
    Mutation(
        "ingestion is not waited for",
        "a Job writes into a schema that is being dropped",
        f"{ENGINE}/deletion.py",
        "    return not jobs\n",
        "    return True\n",
        f"{DELETION}::test_answers_are_closed_before_ingestion_has_ended_and_the_tenant_goes_afterwards",
        api=True,
    ),
    Mutation(
        "the laxer of two deletion policies wins",
        "data goes that the pipeline's owner said to keep",
        f"{ENGINE}/deletion.py",
        """if said == {"Delete"} else""",
        """if "Delete" in said else""",
        f"{DELETION}::test_the_stricter_policy_wins",
        api=True,
    ),
    Mutation(
        "a pipeline goes before its tenants",
        "nothing is left that could close their answers",
        f"{ENGINE}/pipeline_deletion.py",
        "        if remaining:\n",
        "        if False:\n",
        f"{DELETION}::test_a_pipeline_with_tenants_explains_itself_and_goes_when_they_have_gone",
        api=True,
    ),
    Mutation(
        "a pipeline that is being deleted is not bound",
        "after a restart its tenants hang in their deletion",
        f"{ENGINE}/pipelines.py",
        "            await self._keep_bound(key, live)\n",
        "            pass\n",
        f"{DELETION}::test_a_pipeline_and_its_tenants_go_though_the_operator_is_replaced_meanwhile",
        api=True,
    ),
    Mutation(
        "a namespace that goes is waited in",
        "a namespace whose database is gone for good never ends",
        f"{ENGINE}/deletion.py",
        """        if not undone and not await terminating(self._context, meta["namespace"]):\n""",
        "        if not undone:\n",
        f"{DELETION}::test_a_database_gone_for_good_with_its_secret_does_not_hold_a_terminating_namespace",
        api=True,
    ),
)
RUNS = (
    Mutation(
        "slots are not counted",
        "a thousand tenants are ingested at once",
        f"{ENGINE}/runs.py",
        ">= pipeline.spec.ingestion.max_concurrent_jobs:",
        "> 10**6:",
        "integration/operator/test_first_ingestions_take_slots.py"
        "::test_no_more_at_once_than_the_pipeline_allows_and_the_next_when_one_has_gone",
        api=True,
    ),
    Mutation(
        "slots are counted side by side",
        "tenants that look at once all find the same slot free",
        f"{ENGINE}/runs.py",
        "        async with self._context.slot_lock(key):\n",
        """        async with self._context.slot_lock(Key("tenant", "", tenant.metadata.name)):\n""",
        "faults/test_slots_are_counted_one_after_the_other.py::test_a_run_on_its_way_has_its_slot",
        api=True,
    ),
)
MUTATIONS = (*GUARDS, *LEADERSHIP, *DELETING, *RUNS)
