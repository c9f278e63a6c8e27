"""The query service: HTTP, the catalog as pods see it, reader lease, process."""
