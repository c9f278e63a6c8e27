"""The data plane of rag-operator: query service and ingestion, usable without Kubernetes."""
