"""The log, the attempts, the vault and their projections in SQL: one code path for every database."""
