"""Search: which values of a configuration's keys give the best validation score; and when training may stop early."""
