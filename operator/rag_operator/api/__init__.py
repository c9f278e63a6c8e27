"""RagPipeline and RagTenant: their models, rules, names and conditions. Pure, and the source of crds/.

`python -m rag_operator.api write|check` generates the CRDs and the API reference; only that command touches files.
"""

GROUP = "rag-operator.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
