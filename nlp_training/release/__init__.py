"""Releasing a model, on the Hub or as a wheel: the selection of files, their checks, the upload and the build."""
