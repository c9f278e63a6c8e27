"""Mutations of what ingestion and query pods prove before they change or read: leases, fences, watermarks."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

FUNCTIONS = "runtime/rag_runtime/contract/functions.py"
INGEST = "runtime/rag_runtime/ingest"
HOLDER = "integration/ingest/test_only_the_holder_of_a_lease_commits.py"
AGAIN = "integration/ingest/test_a_batch_looks_again_before_it_writes.py"
VERSION = "integration/ingest/test_the_version_moves_exactly_when_answers_may_change.py"

MUTATIONS = (
    Mutation(
        "a batch is committed whatever the watermark is",
        "two runs write the same documents, or one run leaves some out",
        FUNCTIONS,
        "AND shard = $2 AND epoch = $3 AND watermark = $4'",
        "AND shard = $2 AND epoch = $3 AND $4 IS NOT NULL'",
        f"{HOLDER}::test_a_batch_read_from_another_watermark_is_refused",
    ),
    Mutation(
        "a watermark moves for any holder",
        "a run that was superseded goes on",
        FUNCTIONS,
        "AND shard = $2 AND epoch = $3 AND watermark = $4'",
        "AND shard = $2 AND $3 IS NOT NULL AND watermark = $4'",
        f"{HOLDER}::test_the_watermark_itself_moves_for_the_holder_only",
    ),
    Mutation(
        "a batch begins for any holder",
        "a zombie removes chunks that its successor wrote",
        FUNCTIONS,
        "AND revision = $1 AND shard = $2 AND epoch = $3', p.schema)\n    INTO n USING revision, shard, epoch;",
        "AND revision = $1 AND shard = $2 AND $3 IS NOT NULL', p.schema)\n    INTO n USING revision, shard, epoch;",
        f"{HOLDER}::test_a_batch_begins_for_the_holder_only",
    ),
    Mutation(
        "numbers are drawn without the fence",
        "two syncs write at once",
        FUNCTIONS,
        "WHERE t.tenant = p.tenant AND t.fence = draw.fence AND t.open",
        "WHERE t.tenant = p.tenant AND t.open",
        f"{HOLDER}::test_a_sync_whose_fence_was_taken_writes_nothing",
    ),
    Mutation(
        "a lease is taken from a live holder",
        "two runs embed the same documents, and one has worked in vain",
        FUNCTIONS,
        "AND (holder = $4 OR expires_at < clock_timestamp())",
        "AND $4 IS NOT NULL",
        f"{HOLDER}::test_a_second_run_gives_up_politely_while_the_first_is_alive",
    ),
    Mutation(
        "a login that is refused is waited for as long as a database that is away",
        "a run that begins while its password rotates is lost",
        f"{INGEST}/store.py",
        "error.pgconn is not None and error.pgconn.used_password",
        "error.pgconn is None",
        "integration/ingest/test_a_rotated_password_loses_no_run.py"
        "::test_a_run_that_begins_meanwhile_waits_for_the_new_file",
    ),
    Mutation(
        "a lease is not renewed",
        "a run whose embedding takes long is taken for dead",
        f"{INGEST}/leases.py",
        "                        await session.rows(KEEP, [*lease.key.params(), lease.epoch, self.seconds])\n",
        "",
        f"{HOLDER}::test_the_lease_is_renewed_while_an_embedding_takes_longer_than_it_lasts",
    ),
    Mutation(
        "a finished run keeps its lease",
        "the next run waits for nobody",
        f"{INGEST}/leases.py",
        "                await session.rows(KEEP, [*lease.key.params(), lease.epoch, 0])\n",
        "                pass\n",
        f"{HOLDER}::test_a_finished_run_gives_its_leases_back",
    ),
    Mutation(
        "a batch does not look whether a document was deleted",
        "what was deleted during a slow embedding comes back",
        f"{INGEST}/batches.py",
        "        if seq == document.seq and not deleted:\n",
        "        if True:\n",
        f"{AGAIN}::test_a_document_deleted_during_embedding_does_not_come_back",
    ),
    Mutation(
        "a batch does not look whether a document has changed",
        "an older text is written over a newer one",
        f"{INGEST}/batches.py",
        "        if seq == document.seq and not deleted:\n",
        "        if not deleted:\n",
        f"{AGAIN}::test_a_document_that_changes_during_embedding_is_written_in_its_new_version_only",
    ),
    Mutation(
        "a batch of the serving revision leaves the version",
        "cached answers outlive the documents that they quote",
        FUNCTIONS,
        "    IF p.active = revision THEN PERFORM {c}.bump(p.tenant); END IF;\n",
        "",
        f"{VERSION}::test_each_visible_change_moves_counter_and_token",
    ),
    Mutation(
        "a version has no random token",
        "after a fail-over or a restore a counter returns, and with it answers of another time",
        FUNCTIONS,
        "token = replace(gen_random_uuid()::text, '-', '')",
        "token = 'token'",
        f"{VERSION}::test_each_visible_change_moves_counter_and_token",
    ),
    Mutation(
        "a restatement reaches the serving revision only",
        "a roll-back shows staff what was moved to legal",
        FUNCTIONS,
        "  FOR r IN SELECT {c}.live_revisions(p.schema) LOOP\n    EXECUTE format('UPDATE",
        "  FOR r IN SELECT p.active LOOP\n    EXECUTE format('UPDATE",
        f"{AGAIN}::test_an_acl_change_reaches_every_live_revision_without_embedding",
    ),
    Mutation(
        "a pod reads on after its lease has ended",
        "its question meets a revision that was dropped",
        "runtime/rag_runtime/serve/lease.py",
        "        self._safe_until = sent_at + LEASE_SECONDS - MARGIN_SECONDS\n",
        "        self._safe_until = sent_at + 10 * LEASE_SECONDS\n",
        "integration/serve/test_catalog.py::test_a_pod_that_cannot_renew_its_lease_stops_reading_before_it_expires",
    ),
    Mutation(
        "a pod pins nothing",
        "a revision is dropped under a question in flight",
        "runtime/rag_runtime/serve/lease.py",
        "        await self._write(number, min(number, pinned), list(promoted))\n",
        "        await self._write(number, number, list(promoted))\n",
        "integration/serve/test_catalog.py::test_a_request_in_flight_holds_its_promotion_in_the_lease",
    ),
    Mutation(
        "a configuration is read as YAML",
        "an emoji in a prompt becomes two halves, and no model takes either",
        "runtime/rag_runtime/configuration.py",
        "        return json.loads(text)\n",
        "        return yaml.safe_load(text)\n",
        "unit/build/test_configuration_documents.py::test_a_pod_reads_every_character_of_a_prompt",
    ),
    Mutation(
        "an answer is kept whatever became of its tenant",
        "an answer under way when a customer's data is erased stays in Redis for hours",
        "runtime/rag_runtime/answer/path.py",
        " or reply.degraded_reasons or self._parts.pins.get(work.tenant.id) is None:",
        " or reply.degraded_reasons:",
        "integration/serve/test_erasure.py::test_an_answer_under_way_when_its_tenant_goes_is_not_kept",
    ),
)
