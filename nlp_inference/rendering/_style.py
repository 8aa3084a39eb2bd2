"""Colors and the style sheet."""

from colorsys import hls_to_rgb
from functools import lru_cache
from hashlib import blake2b

# The luminance at which white on the color, and the color on black, both have a contrast of about 4.6 to 1, which is
# sufficient for small text (WCAG 2.2, success criterion 1.4.3), so that one color serves light and dark pages.
_LUMINANCE = 0.178

# The best of thousands of candidates, which gives common labels (PERSON, EMAIL, DATE, ORG, LOC, ...) distinct colors.
_SALT = b"\x12\xa8"


@lru_cache(maxsize=4096)
def label_color(label: str) -> str:
    """Return the color of a label as `#rrggbb`, which is deterministic and readable under white text.

    Example:
        >>> label_color("PERSON") == label_color("PERSON"), label_color("PERSON") == label_color("DATE")
        (True, False)
    """
    digest = blake2b(label.encode("utf-8", "surrogatepass"), digest_size=4, salt=_SALT).digest()
    hue = int.from_bytes(digest[:2], "big") / 65536
    saturation = 0.5 + 0.35 * digest[2] / 255
    low, high = 0.0, 1.0
    for _ in range(12):
        lightness = (low + high) / 2
        dark = luminance(hls_to_rgb(hue, lightness, saturation)) < _LUMINANCE
        low, high = (lightness, high) if dark else (low, lightness)
    return "#" + "".join(f"{int(channel * 255):02x}" for channel in hls_to_rgb(hue, low, saturation))


def luminance(rgb: tuple[float, float, float]) -> float:
    """Return the relative luminance of an sRGB color, with channels from 0 to 1 (WCAG 2.2).

    Example:
        >>> luminance((1.0, 1.0, 1.0))
        1.0
    """
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


CSS = """
.nlpi{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;color:inherit;
  border:1px solid rgba(128,128,128,.35);border-radius:10px;padding:.9em 1.1em;margin:.4em 0;max-width:62em;
  text-align:left}
.nlpi *{box-sizing:border-box}
.nlpi-head{display:flex;flex-wrap:wrap;gap:.1em .8em;align-items:baseline;font-size:.82em;margin-bottom:.5em}
.nlpi-head b{font-size:1.1em;overflow-wrap:anywhere}
.nlpi-facts,.nlpi-note,.nlpi-legend{opacity:.72}
.nlpi-legend{margin-left:auto}
.nlpi-text{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:plaintext;text-align:start;font-size:1.03em}
.nlpi-mark{background-repeat:no-repeat;-webkit-box-decoration-break:clone;
  box-decoration-break:clone;padding-top:2px}
.nlpi-tie{white-space:nowrap}
.nlpi-unread{background-image:repeating-linear-gradient(135deg,rgba(205,125,0,.45) 0 2px,transparent 2px 6px)}
.nlpi-chip{display:inline-block;font:600 11px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;
  letter-spacing:.02em;white-space:nowrap;max-width:22em;overflow:hidden;text-overflow:ellipsis;vertical-align:.1em;
  margin:0 3px;padding:0 6px;border-radius:4px;border:1px solid var(--c);background:var(--c);color:#fff;
  -webkit-user-select:none;user-select:none;text-decoration:none}
.nlpi-chip i{font-style:normal;font-weight:400;opacity:.95;margin-left:.45em;font-variant-numeric:tabular-nums}
.nlpi-gold{background:transparent;color:inherit;border-style:dashed;border-width:1.5px}
.nlpi-glyph{font-style:normal;font-size:.8em;opacity:.6}
.nlpi-row{margin-top:.7em;display:flex;flex-wrap:wrap;gap:.35em;align-items:center;font-size:.9em}
.nlpi-name{font-size:.86em;opacity:.72;margin-right:.3em}
.nlpi-row .nlpi-chip{font-size:12px;margin:0;padding:1px 8px;border-radius:9px}
.nlpi-warning{margin-top:.7em;padding:.35em .7em;border-left:4px solid #c77700;background:rgba(220,140,0,.14);
  border-radius:4px;font-size:.88em}
.nlpi-edits{margin-top:.8em;font-size:.84em}
.nlpi-edits summary{cursor:pointer;opacity:.72}
.nlpi-edits table{border-collapse:collapse;margin:.35em 0 0;background:transparent;border:0}
.nlpi-edits td{border:0;background:transparent;padding:.2em .9em .2em 0;vertical-align:top;text-align:left}
.nlpi-edits td:first-child{white-space:nowrap}
.nlpi-change{display:inline-block;margin-right:1.1em;
  font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;
  font-size:.94em;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate}
.nlpi-change span,.nlpi-change small{opacity:.62}
.nlpi-change del,.nlpi-change ins{border-radius:3px;padding:0 2px;color:inherit;unicode-bidi:isolate}
.nlpi-change del{background:rgba(225,60,60,.22);text-decoration:line-through}
.nlpi-change ins{background:rgba(40,165,85,.26);text-decoration:none;margin-left:1px}
"""
