"""The Kubernetes operator of rag-operator: declares and decides, never on the query path."""
