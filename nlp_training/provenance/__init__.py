"""What decided a run: code, data, environment, and digests of what came out."""
