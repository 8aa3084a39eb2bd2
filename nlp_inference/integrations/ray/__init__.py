"""Prediction on many machines: a source is cut into shards, and each becomes part files that are whole or not there."""
