"""API keys, and the headers that browsers read."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence

from starlette.datastructures import Headers

from nlp_inference.serving.failures import RequestError

_CHARACTERS_OF_A_KEY = 1024
_PAGE_SOURCES = (
    "script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""The page loads its own files only, and browsers refuse to read a text as markup or script in it."""


def check_key(headers: Headers, hashes: Sequence[str]) -> None:
    """Check the API key of a request: `Authorization: Bearer KEY` or `X-API-Key: KEY`.

    Args:
        headers: the headers of the request.
        hashes: the SHA-256 digests of the valid keys, in hexadecimal. All are compared, each in constant time.

    Raises:
        RequestError: 401, there is no key, or it is not valid.

    Example:
        >>> check_key(Headers({"x-api-key": "secret"}), [hashlib.sha256(b"secret").hexdigest()])
    """
    scheme, _, value = headers.get("authorization", "").partition(" ")
    key = value.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    if not key or len(key) > _CHARACTERS_OF_A_KEY:
        raise RequestError(401, "send an API key: Authorization: Bearer KEY", kind="Unauthorized")
    digest = hashlib.sha256(key.encode("latin-1", "replace")).hexdigest()
    if not sum(hmac.compare_digest(digest, one) for one in hashes):  # all of them, so the time does not tell which
        raise RequestError(401, "the API key is not valid", kind="Unauthorized")


def security_headers(*, page: bool, frame_ancestors: Iterable[str] = ()) -> dict[str, str]:
    """Return the headers of a response (https://owasp.org/www-project-secure-headers/).

    Args:
        page: whether the response is a page, which may load scripts, styles and images from this server only.
        frame_ancestors: origins that may show the page in a frame.
    """
    frames = " ".join(frame_ancestors) or "'none'"
    sources = f"{_PAGE_SOURCES}; " if page else ""
    return {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Content-Security-Policy": f"default-src 'none'; {sources}base-uri 'none'; form-action 'none'; "
        f"frame-ancestors {frames}",
    }
