"""Mutations of what keeps a former leader from writing."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

OPERATOR = "operator/rag_operator"
FROZEN = "faults/test_a_frozen_leader_changes_nothing_late.py"

MUTATIONS = (
    Mutation(
        "a child is applied whatever was changed since the look",
        "a leader that was frozen brings back what was asked for before the last change",
        f"{OPERATOR}/kube/apply.py",
        'for key in ("uid", "resourceVersion")}',
        'for key in ("uid",)}',
        f"{FROZEN}::test_a_late_apply_of_what_was_asked_for_before_the_last_change_is_refused[cronjobs/acme-ingest]",
        api=True,
    ),
    Mutation(
        "a leader that was frozen goes on writing until it hears of it",
        "two write at once for as long as the API server takes to answer",
        f"{OPERATOR}/kube/client.py",
        ' and not self.may_write():\n            raise ApiUnavailableError(f"{method}',
        ' and False:\n            raise ApiUnavailableError(f"{method}',
        "integration/kube/test_of_all_candidates_one_leads.py"
        "::test_a_leader_that_was_frozen_may_not_write_before_it_has_renewed",
        api=True,
    ),
    Mutation(
        "the process writes without a question to its election",
        "the audit log shows writes of two holders in one term",
        f"{OPERATOR}/handlers/process.py",
        "    api.may_write = election.holds\n",
        "",
        f"{FROZEN}::test_a_former_leader_that_finds_work_as_it_wakes_leaves_it_to_who_leads",
        api=True,
    ),
    Mutation(
        "a leader that was frozen takes the catalog back",
        "its SQL is valid again, and the sessions of who leads are ended",
        f"{OPERATOR}/engine/bind.py",
        "    elif not context.api.may_write():\n",
        "    elif False:\n",
        "integration/operator/test_who_may_not_write_takes_no_catalog.py::test_it_binds_anew_only_once_it_may_write",
        api=True,
    ),
    Mutation(
        "the replicas call themselves the same",
        "an audit log of the API server can't tell a former leader's writes from the next one's",
        f"{OPERATOR}/kube/client.py",
        'f"{PRODUCT}/{version} ({identity})"',
        'f"{PRODUCT}/{version}"',
        "integration/kube/test_each_request_tells_whose_it_is.py"
        "::test_product_version_and_identity_are_in_the_audit_log",
        api=True,
    ),
    Mutation(
        "a watch that is refused is read like one that is not",
        "the API server's Status has no type, and the process ends",
        f"{OPERATOR}/kube/client.py",
        "                if response.status >= 400:\n",
        "                if False:\n",
        "integration/kube/test_a_watch_that_is_refused_says_so.py::test_without_the_right_to",
        api=True,
    ),
    Mutation(
        "a catalog that was taken by another stays reached",
        "tenants of a pipeline whose spec is invalid can't be deleted before the next term",
        f"{OPERATOR}/engine/context.py",
        "            self.reached.pop(binding.key, None)\n",
        "",
        "integration/operator/test_who_may_not_write_takes_no_catalog.py"
        "::test_who_leads_takes_it_back_to_let_tenants_of_a_refused_pipeline_go",
        api=True,
    ),
    Mutation(
        "calls wait for a connection behind watches",
        "from 34 watched namespaces on no leader renews its Lease",
        f"{OPERATOR}/kube/client.py",
        "        configuration.connection_pool_maxsize = 0\n",
        "",
        "integration/kube/test_calls_wait_behind_no_watch.py::test_calls_wait_behind_no_watch",
        api=True,
    ),
    Mutation(
        "what a catalog said before an outage is known to its leader alone",
        "Postgres and the leader fall together, all query pods are replaced, and the model that answers is cut off",
        f"{OPERATOR}/engine/profiles.py",
        "        return tuple(ServeConfig.model_validate_json(text).profiles.values())\n",
        "        return tuple(ServeConfig.model_validate_json(text).profiles.values())[:0]\n",
        "integration/operator/test_an_outage_rolls_no_pods_whoever_leads.py"
        "::test_a_model_that_a_revision_answers_with_stays_within_reach",
        api=True,
    ),
)
