"""Bodies of JSON Lines for schemathesis, which runs in its own environment; see test_serving_schema.py."""

import json

import schemathesis


@schemathesis.serializer("application/jsonl")
def json_lines(_, value):
    """Write a value as one line, and a list as several."""
    lines = value if isinstance(value, list) else [value]
    return "\n".join(map(json.dumps, lines)).encode()
