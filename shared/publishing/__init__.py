"""Logs Ingestion: the rows that the alert rules read."""
