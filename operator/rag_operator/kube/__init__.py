"""The Kubernetes port: raw JSON over the official client's transport, with deadlines and guarded writes."""
