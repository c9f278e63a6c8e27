"""Images for the local cluster, built and loaded without a container engine or a registry."""
