"""Where models answer, and whom their clients trust."""

from pydantic import Field

from rag_operator.api.common import Model, SecretKeyRef
from rag_operator.api.formats import DataKey, ObjectName, WebAddress


class AuthorityRef(Model):
    """Names PEM certificates in a ConfigMap of the same namespace: they are no secret, and trust-manager and others
    hand them out so."""

    name: ObjectName
    """Name of the ConfigMap, in the same namespace."""
    key: DataKey = DataKey("ca.crt")
    """Key within the ConfigMap; its value is one or more PEM certificates."""


class Endpoint(Model):
    """An OpenAI-compatible endpoint."""

    base_url: WebAddress = Field(default=WebAddress("https://api.openai.com/v1"), alias="baseURL")
    """Address up to and including the version, without /embeddings or /chat/completions."""
    secret_ref: SecretKeyRef | None = None
    """The API key; may be absent where the endpoint asks for none."""
    ca_ref: AuthorityRef | None = None
    """Certificates that the endpoint's is checked against, and no others. Absent: the public authorities."""
