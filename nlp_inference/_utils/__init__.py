"""Helpers without knowledge of the library: cores, digests, atomic files, optional packages."""
