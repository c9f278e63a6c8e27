"""Asking pods why they don't start; only while some are missing."""

from __future__ import annotations

from collections.abc import Mapping

from rag_operator.decide.pods import trouble_of
from rag_operator.engine.context import Context
from rag_operator.kube.kinds import POD


async def pods_trouble(context: Context, namespace: str, labels: Mapping[str, str]) -> str:
    """What keeps the pods of these labels from running, or nothing."""
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return trouble_of(await context.api.list(POD, namespace, selector), context.server_now())
