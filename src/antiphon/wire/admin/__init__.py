"""The shapes of the administration API: what the official clients' `admin.organization` reads and writes."""
