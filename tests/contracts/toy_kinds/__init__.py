"""One of each thing that the library takes from other packages; only the entry points of the distribution name them."""
