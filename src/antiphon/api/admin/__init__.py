"""The administration API: a file for each resource, thin over the services that do the work."""
