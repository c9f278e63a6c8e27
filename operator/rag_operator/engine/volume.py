"""The volume of a managed database goes or stays by its pipeline's policy as it stands when the pipeline is let go.

Its owner is written with the other children (`bind`): not while the pipeline is paused, refused or being deleted.
"""

from __future__ import annotations

from rag_operator.api import names
from rag_operator.api.parse import parse_to_close
from rag_operator.build.common import owner_reference
from rag_operator.kube.client import Api, Object
from rag_operator.kube.kinds import CLAIM


async def settle_volume(api: Api, live: Object) -> bool:
    """Own the volume, or own it no more, as the policy says now; whether it goes with the pipeline."""
    meta = live["metadata"]
    claim = await api.get(CLAIM, meta["namespace"], names.postgres(meta["name"]))
    if claim is None:
        return False
    owners = claim["metadata"].get("ownerReferences", [])
    due = _owners_due(live, claim["metadata"], owners)
    if due != owners:
        await api.merge(CLAIM, claim, {"metadata": {"ownerReferences": due}})
    going = "deletionTimestamp" in claim["metadata"]  # as where its pipeline is deleted in the foreground
    return going or any(owner["uid"] == meta["uid"] for owner in due)


def _owners_due(live: Object, claim: Object, owners: list[Object]) -> list[Object]:
    if live["spec"].get("deletionPolicy") != "Delete":
        return [owner for owner in owners if owner["uid"] != live["metadata"]["uid"]]
    return owners or ([owner_reference(parse_to_close(live))] if _holds_its_data(live, claim) else [])


def _holds_its_data(live: Object, claim: Object) -> bool:
    """Not what another hand made, nor what an earlier pipeline of the name left and this one never adopted."""
    ours = names.pipeline_labels(live["metadata"]["name"], names.COMPONENT_POSTGRES)
    bound = "managed" in live["spec"].get("database", {}) and live.get("status", {}).get("catalogID")
    return bool(bound) and ours.items() <= (claim.get("labels") or {}).items()
