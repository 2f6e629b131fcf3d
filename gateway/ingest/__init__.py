"""Ingest: what comes in by HTTP or Redis is judged at one door and appended in batches."""
