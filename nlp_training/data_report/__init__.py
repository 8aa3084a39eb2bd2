"""What data and processor can give before any training: the label ceiling, leaks, labels, edges, lengths."""
