"""Files larger than memory: read an item at a time, written a block at a time, gone on with after a kill."""
