"""The ledger under a seeded loop, clock, disk and database: the same seed gives the same run."""
