"""Logs of the server as JSON, one object per line, without texts and keys."""

import json
import logging
from datetime import UTC, datetime
from typing import IO

_LOGGERS = ("nlp_inference.serving", "uvicorn", "py.warnings")


class JsonLines(logging.Formatter):
    """Write a record as one line of JSON; a message that is JSON itself becomes its fields.

    Example:
        >>> record = logging.LogRecord("nlp", logging.INFO, "", 0, '{"status": 200}', (), None)
        >>> record.created = 0
        >>> JsonLines().format(record)
        '{"time": "1970-01-01T00:00:00.000+00:00", "level": "info", "status": 200}'
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        message = record.getMessage()
        fields = json.loads(message) if message.startswith("{") else {"event": record.name, "message": message}
        return json.dumps({"time": time, "level": record.levelname.lower(), **fields})


def write_logs(stream: IO[str], *, level: str) -> None:
    """Write the logs of the server, and all Python warnings, to a stream.

    Args:
        stream: where the lines go.
        level: the least level that is written: `debug`, `info`, `warning` or `error`.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.captureWarnings(capture=True)
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level.upper())
