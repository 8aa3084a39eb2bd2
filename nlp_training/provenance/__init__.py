"""Provenance of a run: code, data, environment, and digests of its results."""
