"""Settings of the server: limits, API keys, and what is switched off by default."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest in hexadecimal."""


class ServerSettings(BaseModel):
    """Settings of the server.

    Args:
        max_body_bytes: size limit of a request body; a larger one gets status 413.
        max_characters: limit of a text and its text pair together; a longer one gets status 413.
        max_documents: limit of the documents of one request; more get status 413.
        max_queue: limit of the documents in flight of all requests; a request that exceeds it gets status 429.
        timeout: seconds after which a request gets status 504. A client may ask for less with `X-Request-Timeout`. A
            request that would wait longer gets status 429 at once.
        body_timeout: seconds in which a client must have sent its request body; later it gets status 408.
        processes: how many processes run each model that the server loads; 0 runs it in threads of the server, which is
            faster on a few cores. See `nlp_inference.serving.model_processes`.
        api_key_hashes: SHA-256 digests of the API keys, in hexadecimal; with none, no key is required.
        admin_key_hashes: the same for the keys that may reload models; with none, reloading over HTTP is disabled.
        cors_origins: origins whose pages may call the server from a browser; by default none.
        frame_ancestors: origins that may show the page in a frame; by default none.
        tracing: whether requests and the stages of their documents are recorded as spans of OpenTelemetry; see
            `nlp_inference.serving.tracing`.
        page: whether `/` shows the page, and `/docs` the documentation of the endpoints.

    Example:
        >>> ServerSettings(max_documents=100).max_documents
        100
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_body_bytes: Positive = 10 << 20
    max_characters: Positive = 1_000_000
    max_documents: Positive = 1024
    max_queue: Positive = 4096
    timeout: Seconds = 30.0
    body_timeout: Seconds = 30.0
    processes: Annotated[int, Field(ge=0)] = 0
    api_key_hashes: tuple[Digest, ...] = ()
    admin_key_hashes: tuple[Digest, ...] = ()
    cors_origins: tuple[str, ...] = ()
    frame_ancestors: tuple[str, ...] = ()
    tracing: bool = False
    page: bool = True
