"""Reading and writing of files that are larger than memory, with resumption after a kill."""
