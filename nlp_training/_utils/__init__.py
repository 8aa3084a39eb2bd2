"""Helpers that do not depend on runs: CPU threads, base models, atomic replacement of folders, checkpoint folders."""
