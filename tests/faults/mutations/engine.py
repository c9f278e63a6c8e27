"""Mutations of what runs within the operator's process: queue, registry, resync, breaker, versions, names."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

ENGINE = "operator/rag_operator/engine"
QUEUE = "unit/engine/test_the_queue_hands_each_key_to_one_worker.py"
REGISTRY = "unit/engine/test_the_registry_counts_what_was_read_last.py"
WEATHER = "faults/test_bad_weather_is_waited_out.py::test_it_ends_where_it_would_have"
ORPHANS = "unit/engine/test_orphans_are_what_nobody_claims.py"
APPLY = "operator/rag_operator/kube/apply.py"
DIFFERS = "unit/kube/test_only_what_differs_is_applied.py"
WATCH = "unit/engine/test_a_watch_is_dead_while_it_delivers_nothing.py"
BREAKER = "unit/stores/test_a_breaker_fails_fast_until_its_next_trial.py"
BUILD = "unit/build"
GIVES_WAY = "integration/operator/test_a_run_whose_pod_cannot_start_gives_way_when_mended.py"
EMPTYING = "integration/operator/test_erasure_empties_the_cache.py"
OLDER = "integration/operator/test_what_is_older_than_a_rule_lives_on.py"

MUTATIONS = (
    Mutation(
        "a key is worked on by two workers at once",
        "two reconciles of one resource act on what each read before the other wrote",
        f"{ENGINE}/queue.py",
        "        if key in self._working:\n"
        "            self._again[key] = routine and self._again.get(key, True)\n"
        "            return\n",
        "",
        f"{QUEUE}::test_a_key_added_during_its_work_comes_again_afterwards_and_not_before",
    ),
    Mutation(
        "what happens to a key during its work is forgotten",
        "an event that comes while its resource is being reconciled is lost until the next resync",
        f"{ENGINE}/queue.py",
        "            self._again[key] = routine and self._again.get(key, True)\n",
        "",
        f"{QUEUE}::test_a_key_added_during_its_work_comes_again_afterwards_and_not_before",
    ),
    Mutation(
        "a lane has no bound",
        "a database that hangs takes every worker",
        f"{ENGINE}/queue.py",
        "if lane.waiting and lane.working < self._width:",
        "if lane.waiting:",
        f"{QUEUE}::test_a_lane_that_is_full_holds_up_no_other",
    ),
    Mutation(
        "a resync waits for a database that hangs",
        "nothing that went unheard is mended, of any tenant of any database",
        f"{ENGINE}/fleet.py",
        "context.transaction(binding, SOON)",
        "context.transaction(binding)",
        "faults/test_a_hanging_database_holds_up_nobody_else.py::test_another_database_s_tenant_is_made_meanwhile",
        api=True,
    ),
    Mutation(
        "what came during a list is taken for gone",
        "a tenant is counted by nobody, and hears of no change of its pipeline for an hour",
        f"{ENGINE}/registry.py",
        " and (key, version) in before.items()]",
        "]",
        f"{REGISTRY}::test_gone_is_what_a_list_lacks_unless_a_watch_has_told_of_it_since_the_list_began",
    ),
    Mutation(
        "a resync forgets whom its list is too old to show",
        "a tenant that is made during a resync is forgotten by it",
        f"{ENGINE}/resync.py",
        "registry.vanished(before, listed)",
        "registry.vanished(registry.known(), listed)",
        "faults/test_who_comes_during_a_resync_is_not_forgotten.py::test_it_is_known_and_counted",
        api=True,
    ),
    Mutation(
        "an event waits behind the resync",
        "with 10,000 tenants a change is served minutes after it was made",
        f"{ENGINE}/queue.py",
        "        keys = self.urgent or self.routine\n",
        "        keys = self.routine or self.urgent\n",
        f"{QUEUE}::test_what_happened_goes_before_what_is_merely_looked_at",
    ),
    Mutation(
        "the later of two times to look again wins",
        "a resource that is on its way is looked at minutes late",
        f"{ENGINE}/queue.py",
        "if key in self._waiting or self._due.get(key, due + 1) <= due:",
        "if key in self._waiting:",
        f"{QUEUE}::test_the_earlier_of_two_delays_wins",
    ),
    Mutation(
        "a server's Retry-After is not heeded",
        "an API server that asks for patience is pressed on",
        f"{ENGINE}/queue.py",
        "delay = max(retry_after or 0.0, delay * (0.5 + self._jitter() / 2))",
        "delay = delay * (0.5 + self._jitter() / 2)",
        f"{QUEUE}::test_the_server_s_retry_after_is_a_lower_bound",
    ),
    Mutation(
        "a new term begins with what the former one left waiting",
        "keys of a term that ended are worked on with the back-off of failures that are long past",
        f"{ENGINE}/queue.py",
        "            waiting.clear()\n",
        "            pass\n",
        f"{QUEUE}::test_a_new_term_begins_with_nothing_and_lets_what_is_worked_on_end",
    ),
    Mutation(
        "an echo is told by the key alone",
        "another's change of what this process once wrote asks for no look",
        f"{ENGINE}/registry.py",
        'return bool(self._written.get(key) == body["metadata"]["resourceVersion"])',
        "return key in self._written",
        f"{REGISTRY}::test_what_this_process_wrote_itself_is_an_echo_and_another_s_change_is_none",
    ),
    Mutation(
        "a change that came between reading and writing counts as an echo",
        "a spec that changed a moment before our own write waits for the next resync",
        f"{ENGINE}/registry.py",
        'if all(read["metadata"].get(name) == written["metadata"].get(name) for name in _PERSONS):',
        "if True:",
        f"{REGISTRY}::test_a_change_that_came_between_reading_and_writing_is_never_taken_for_an_echo",
    ),
    Mutation(
        "a watch that delivers old versions counts as alive",
        "a watch that died is noticed by nobody",
        f"{ENGINE}/registry.py",
        "return have is None or (have.isdigit() and version.isdigit() and int(have) < int(version))",
        "return have is None",
        f"{REGISTRY}::test_what_a_list_shows_counts_where_no_watch_delivered_it",
    ),
    Mutation(
        "a resync takes in nothing that it lists",
        "what no watch delivered is counted for no pipeline",
        f"{ENGINE}/resync.py",
        "            registry.take_in(key, items[number])\n",
        "            pass\n",
        f"{WEATHER}[a creation is not heard of]",
        api=True,
    ),
    Mutation(
        "a resync enqueues nothing of what it lists",
        "an event that was lost is lost for good",
        f"{ENGINE}/resync.py",
        "            self._context.queue.add(key, routine=True)\n",
        "            pass\n",
        f"{WEATHER}[a creation is not heard of]",
        api=True,
    ),
    Mutation(
        "a resync remembers what is gone",
        "a tenant whose deletion no watch delivered is counted for ever",
        f"{ENGINE}/resync.py",
        "            registry.forget(key)\n",
        "            pass\n",
        f"{WEATHER}[a deletion is not heard of]",
        api=True,
    ),
    Mutation(
        "orphans are looked for before all RagTenants are known",
        "each tenant of a new leader is told of as an orphan",
        f"{ENGINE}/orphans.py",
        "return self._round > 0 and self._looked",
        "return self._looked",
        f"{ORPHANS}::test_a_catalog_is_looked_at_when_all_are_known_then_once_a_resync_and_at_every_new_connection",
    ),
    Mutation(
        "retained tenants are orphans",
        "what policy keeps is told of as if nobody knew of it",
        f"{ENGINE}/orphans.py",
        "        if tenant.state != RETAINED and Key(",
        "        if Key(",
        f"{ORPHANS}::test_a_tenant_is_an_orphan_in_every_state_but_the_one_that_keeps_it_on_purpose",
    ),
    Mutation(
        "a breaker lets every caller try",
        "each of a thousand tenants waits for a database that is away",
        "operator/rag_operator/stores/breaker.py",
        "            return self.next_trial - now\n        self.next_trial = now + self.pause\n",
        "            return self.next_trial - now\n",
        f"{BREAKER}::test_it_opens_and_lets_one_trial_through_per_pause",
    ),
    Mutation(
        "a breaker never opens",
        "a database that is away costs every caller the connect deadline",
        "operator/rag_operator/stores/breaker.py",
        "        if self.failures < self.threshold:\n            return 0.0\n",
        "        if self.failures >= 0:\n            return 0.0\n",
        f"{BREAKER}::test_it_opens_and_lets_one_trial_through_per_pause",
    ),
    Mutation(
        "a Secret is known by its uid alone",
        "a changed password or key rolls no pod",
        f"{ENGINE}/secrets.py",
        """f"{meta['uid']}/{meta['resourceVersion']}\"""",
        """f"{meta['uid']}\"""",
        "unit/engine/test_a_secret_is_known_by_its_version.py::test_another_content_is_another_version",
    ),
    Mutation(
        "a Secret is known by its version alone",
        "a Secret that was made anew under the same name may pass for the old one",
        f"{ENGINE}/secrets.py",
        """f"{meta['uid']}/{meta['resourceVersion']}\"""",
        """f"{meta['resourceVersion']}\"""",
        "unit/engine/test_a_secret_is_known_by_its_version.py::test_one_made_anew_is_another_version",
    ),
    Mutation(
        "a configuration is named by its pipeline, not by its content",
        "a change is read by pods that run, at any moment, and a roll-back finds nothing to go back to",
        "operator/rag_operator/build/config.py",
        "return names.short_hash(text, 12)",
        "return names.short_hash('', 12)",
        f"{BUILD}/test_configuration_documents.py::test_a_config_map_is_named_by_its_content",
    ),
    Mutation(
        "query pods do not see a Secret's version",
        "a changed database login leaves pods with the old one",
        "operator/rag_operator/build/query.py",
        "common.secret_versions(inputs.secret_versions)",
        "common.secret_versions({})",
        f"{BUILD}/test_the_query_service.py::test_a_changed_secret_or_configuration_rolls_the_pods",
    ),
    Mutation(
        "replicas are written though an autoscaler owns them",
        "operator and autoscaler fight over the number of pods",
        "operator/rag_operator/build/query.py",
        "    if inputs.replicas is not None:\n",
        "    if True:\n",
        f"{BUILD}/test_the_query_service.py::test_replicas_are_absent_where_an_autoscaler_owns_them",
    ),
    Mutation(
        "a tenant is ready though a pod lags behind its promotion",
        "a person who waits for Ready is answered from the former revision",
        "operator/rag_operator/decide/tenant.py",
        "    if index.behind:\n",
        "    if False:\n",
        "unit/decide/test_conditions_tell_what_holds_and_what_to_mend.py"
        "::test_a_tenant_is_not_ready_while_one_live_pod_lags_behind_its_promotion",
    ),
    Mutation(
        "how many pods answer is part of what a tenant looks like",
        "each query pod that an autoscaler adds has ten thousand tenants looked at",
        f"{ENGINE}/settled.py",
        "bool(live), (behind, len(live)) if behind else None,",
        "len(live), behind,",
        "unit/engine/test_a_resync_looks_only_at_what_differs.py"
        "::test_how_many_pods_answer_is_no_difference_and_how_many_are_behind_is",
    ),
    Mutation(
        "a tenant's status counts the pods that answer",
        "each query pod that an autoscaler adds has ten thousand tenants written",
        "operator/rag_operator/decide/tenant.py",
        'f"revision {index.active} answers on every query pod"',
        'f"revision {index.active} answers on {index.live_leases} query pods"',
        "integration/operator/test_an_idle_operator_writes_nothing.py"
        "::test_query_pods_that_come_and_go_are_written_of_at_no_tenant",
        api=True,
    ),
    Mutation(
        "what others add to a child is a difference",
        "where a mesh adds a variable the operator writes for ever",
        APPLY,
        "_matched(live, wanted, MERGED[place]) if place in MERGED else live\n",
        "live\n",
        f"{DIFFERS}::test_an_item_that_another_added_where_an_apply_leaves_it_is_no_difference_and_ours_still_count",
    ),
    Mutation(
        "what others add to a policy is no difference",
        "who may write a NetworkPolicy lets everybody in, for good",
        APPLY,
        "    if place in _WHOLE:\n",
        "    if False:\n",
        f"{DIFFERS}::test_an_item_that_another_added_where_an_apply_takes_it_away_is_a_difference",
    ),
    Mutation(
        "a watch that lags is dead",
        "a healthy leader is killed for one late event",
        f"{ENGINE}/resync.py",
        "self.dead, before = len(lagging) == before, len(lagging)",
        "self.dead, before = bool(lagging), len(lagging)",
        f"{WATCH}::test_a_watch_is_dead_where_nothing_came_between_two_looks_until_something_does",
    ),
    Mutation(
        "a watch is never dead",
        "a leader that hears nothing stays the leader",
        f"{ENGINE}/resync.py",
        "self.dead, before = len(lagging) == before, len(lagging)",
        "before = len(lagging)",
        f"{WATCH}::test_a_watch_is_dead_where_nothing_came_between_two_looks_until_something_does",
    ),
    Mutation(
        "erasure leaves the cache",
        "answers of an erased customer's documents stay in Redis for hours",
        f"{ENGINE}/emptying.py",
        "    emptied = await _empty_cache(context, binding, row.id)\n",
        '    emptied = ""\n',
        f"{EMPTYING}::test_a_deleted_tenants_keys_go_with_its_data_and_no_others",
        api=True,
    ),
    Mutation(
        "an erasure is said by the process that did it only",
        "a customer's data are gone, and no log says when, because an operator ended just then",
        f"{ENGINE}/deletion.py",
        "        if not schema or (",
        "        if True or (",
        "faults/test_what_became_of_the_data_is_always_said.py"
        "::test_an_operator_that_dies_before_it_said_so_is_made_up_for[erased]",
        api=True,
    ),
    Mutation(
        "a run that can't start stays whatever the spec says by now",
        "a node selector that was dropped from the spec holds a tenant's ingestion for hours",
        f"{ENGINE}/runs.py",
        "        if (trouble or former) and _origin(job) != _origin(wanted):\n",
        "        if False:\n",
        f"{GIVES_WAY}::test_a_run_that_was_asked_for_is_made_anew_without_what_the_spec_dropped",
        api=True,
    ),
    Mutation(
        "a run of what the spec was keeps its slot",
        "a tenant whose sources were mended waits for the deadline of its own stuck run",
        f"{ENGINE}/runs.py",
        '            for other in [job for job in running if _tenant(job["metadata"]) == who]:\n',
        "            for other in ():\n",
        f"{GIVES_WAY}::test_a_run_of_other_sources_leaves_its_slot_to_that_of_today_s",
        api=True,
    ),
    Mutation(
        "scheduled runs are nobody's",
        "one that can't start keeps all later ones from starting, though the spec was mended",
        f"{ENGINE}/tenants.py",
        "        unsure = await self._runs.free(cron_job, job)\n",
        "        unsure = False\n",
        f"{GIVES_WAY}::test_a_scheduled_run_gives_way_though_nothing_else_is_to_be_done[before]",
        api=True,
    ),
    Mutation(
        "answers go after the data that they were given from",
        "an operator that dies in between leaves answers of an erased customer's documents in Redis for hours",
        f"{ENGINE}/emptying.py",
        "    emptied = await _empty_cache(context, binding, row.id)\n"
        "    erased = False\n"
        "    while not erased:\n"
        "        async with context.transaction(binding) as tx:\n"
        "            erased = await erase(tx, row.namespace, row.name)\n",
        "    erased = False\n"
        "    while not erased:\n"
        "        async with context.transaction(binding) as tx:\n"
        "            erased = await erase(tx, row.namespace, row.name)\n"
        "    emptied = await _empty_cache(context, binding, row.id)\n",
        "faults/test_answers_leave_redis_whenever_the_operator_dies.py::test_and_anothers_stay[DIE_BEFORE]",
        api=True,
    ),
    Mutation(
        "erasure of retained data leaves the cache",
        "answers of data that an annotation had erased stay in Redis for hours",
        f"{ENGINE}/emptying.py",
        "    emptied = await _empty_cache(context, binding, row.id)\n",
        '    emptied = ""\n',
        f"{EMPTYING}::test_a_retained_tenants_keys_stay_until_its_data_is_erased",
        api=True,
    ),
    Mutation(
        "erasure waits for the cache",
        "while Redis is down no tenant can be deleted",
        f"{ENGINE}/emptying.py",
        "    except (PermanentError, StoreTrouble) as trouble:\n",
        "    except PermanentError as trouble:\n",
        f"{EMPTYING}::test_a_redis_that_is_away_holds_up_no_erasure[down]",
        api=True,
    ),
    Mutation(
        "a Secret of ours that lost a key stays so",
        "requests with the tenant's key are refused, or every reconcile fails, and nobody is told why",
        "operator/rag_operator/kube/apply.py",
        """    whole = all(b64decode(held.get(key) or "").strip() for key in manifest["data"])\n""",
        "    whole = True\n",
        "integration/operator/test_a_secret_that_lost_a_key_is_made_anew.py"
        "::test_the_cache_gets_a_new_password_everywhere[url]",
        api=True,
    ),
    Mutation(
        "a pipeline whose spec is invalid is not reached",
        "after an upgrade with a stricter rule neither its tenants nor it can be deleted",
        f"{ENGINE}/pipelines.py",
        "        return await self._reach(key, live)\n",
        "        return None\n",
        f"{OLDER}::test_data_from_before_a_rule_go_with_their_tenant_after_a_restart",
        api=True,
    ),
    Mutation(
        "a rule about the whole resource holds for any edit",
        "a resource that is older than the rule can't be edited, and by one about its name not even let go",
        "operator/rag_operator/api/schema.py",
        "if isinstance(rule, Rule) and rule.at in _CHANGED_BY_ANY_EDIT:",
        "if False:",
        "unit/api/test_the_generated_files_are_current_and_structural.py"
        "::test_a_rule_whose_object_any_edit_changes_looks_at_what_it_reads_alone",
    ),
)
