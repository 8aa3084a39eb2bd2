"""Helpers without knowledge of a run: CPU threads, base models, atomic replacement of folders, checkpoint folders."""
