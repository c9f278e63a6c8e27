"""Why a run ends, beside what sources, parsers and models raise."""

from __future__ import annotations

from rag_runtime.models.errors import PermanentError, RuntimeFault, TransientError


class Superseded(RuntimeFault):
    """Another run took over, or the revision was retired: stop without a trace. Nothing failed."""


class TenantClosed(RuntimeFault):
    """The tenant is being deleted: stop. Nothing failed."""


class StoreUnavailableError(TransientError):
    """Postgres can't be reached, refuses for now, or missed a deadline."""


class LoginRefusedError(StoreUnavailableError):
    """Postgres refuses the mounted login: its password rotates, and the file with the new one is on its way."""


class StoreRefusedError(PermanentError):
    """Postgres refuses a statement: a missing right, a missing table, a value that it can't store."""


class ConfigurationError(PermanentError):
    """The configuration document can't be used; the text begins with the field's name."""
