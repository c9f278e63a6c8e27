"""The local Kubernetes of tests and demo: a real cluster on one machine, without a container engine or a registry."""
