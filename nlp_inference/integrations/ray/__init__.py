"""Distributed prediction with Ray: the source is split into shards, and each shard gives atomic part files."""
