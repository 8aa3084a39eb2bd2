"""Publishing a model on the Hub: the selection of files, their checks, and the upload."""
