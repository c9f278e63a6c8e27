"""Mutations of what keeps the trouble of one database its own."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

ENGINE = "operator/rag_operator/engine"
STORES = "operator/rag_operator/stores"
TOLD = "integration/stores/test_whatever_a_database_answers_is_told.py"
SUMMARY = "unit/stores/test_a_summary_is_what_reads_as_one.py::test_what_a_status_does_not_take_is_no_report"
LEFT_OUT = "integration/stores/test_a_resync_leaves_out_what_cannot_be_read.py"

MUTATIONS = (
    Mutation(
        "what a database answers is raised as it is where it isn't known",
        "a table that was dropped is told to nobody, and ends what doesn't expect it",
        f"{STORES}/errors.py",
        "    return _unsuitable(error, address)\n",
        "    raise error\n",
        f"{TOLD}::test_what_is_not_known_is_told_without_its_values[a bad value]",
    ),
    Mutation(
        "whatever a database answers is told word for word",
        "a condition quotes what was in a statement",
        f"{STORES}/errors.py",
        '_first_line(error) if isinstance(error, _ABOUT_ITSELF) else "its log says what"',
        "_first_line(error)",
        f"{TOLD}::test_what_is_not_known_is_told_without_its_values[a bad value]",
    ),
    Mutation(
        "what pods write of themselves is taken to be as ours write it",
        "whoever has a query login holds up every tenant of the pipeline",
        f"{STORES}/leases.py",
        "CASE WHEN jsonb_typeof(failures) = 'object'",
        "CASE WHEN true",
        f"{TOLD}::test_a_lease_is_read_whatever_a_pod_has_written_there[a list]",
    ),
    Mutation(
        "a pod is there for as long as its lease says",
        "one that is written without an end keeps every replaced revision, for ever",
        f"{STORES}/leases.py",
        " AND expires_at < now() + interval '1 day' AS live",
        " AS live",
        f"{TOLD}::test_a_lease_ends_with_its_pod_whatever_it_says[one that no pod wrote]",
    ),
    Mutation(
        "leases of pods that were killed stay",
        "every look reads thousands of them",
        f"{STORES}/leases.py",
        "        await tx.change(_DROP_STRAY)\n",
        "        pass\n",
        f"{TOLD}::test_a_lease_ends_with_its_pod_whatever_it_says[one that died yesterday]",
    ),
    Mutation(
        "a run's report is taken whatever its numbers and times are",
        "the API server refuses the status, and nothing of the tenant is told any more",
        f"{STORES}/summary.py",
        "found if found is None or _fits(found) else None",
        "found",
        f"{SUMMARY}[{{'startedAt': 'yesterday'}}]",
    ),
    Mutation(
        "a run's report that is none ends the look at its tenant",
        "whoever has an ingestion login stops all that is declared of its tenant",
        f"{STORES}/summary.py",
        "    except ValidationError:\n        return None\n",
        "    except NotImplementedError:\n        return None\n",
        "unit/stores/test_a_summary_is_what_reads_as_one.py::test_what_is_no_object_is_no_report[text]",
    ),
    Mutation(
        "a database that is read-only is one that can't do what is needed",
        "nobody is told what to set, though Postgres says it",
        f"{STORES}/errors.py",
        "    if isinstance(error, errors.ReadOnlySqlTransaction):\n",
        "    if False:\n",
        f"{TOLD}::test_a_database_that_is_read_only_is_told_and_written_to_as_soon_as_it_may_be",
    ),
    Mutation(
        "sessions of a database that was read-only are used on",
        "it may be written to again, and the operator's own sessions may not, for ever",
        f"{STORES}/pool.py",
        "                except errors.ReadOnlySqlTransaction:\n",
        "                except NotImplementedError:\n",
        f"{TOLD}::test_a_database_that_is_read_only_is_told_and_written_to_as_soon_as_it_may_be",
    ),
    Mutation(
        "a resync fails with one of its catalogs",
        "nothing that went unheard is mended, of any tenant of any database",
        f"{ENGINE}/fleet.py",
        "        except Exception:  # boundary",
        "        except TimeoutError:  # boundary",
        f"{LEFT_OUT}::test_a_catalog_that_meets_something_unheard_of_is_left_out",
    ),
    Mutation(
        "a term ends with a resync that fails",
        "the operator starts again and again, and fails at the same",
        f"{ENGINE}/resync.py",
        "        except Exception:  # boundary",
        "        except TimeoutError:  # boundary",
        f"{LEFT_OUT}::test_a_round_that_meets_something_unheard_of_is_followed_by_another",
    ),
)
