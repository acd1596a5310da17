"""The HTML page of every report: one file that opens on its own, with pictures and curves inside."""

import base64
from pathlib import Path
from typing import Any

import jinja2

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.ChainableUndefined,
)
_ENVIRONMENT.globals["zip"] = zip


def render(**content: Any) -> str:
    """Fills in `page.html.j2`; a section without content is left out."""
    return _ENVIRONMENT.get_template("page.html.j2").render(content)


def uri(jpeg: bytes) -> str:
    """Embeds a JPEG file."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def number(value: float | None) -> str:
    """Formats a figure, with three decimals below 10 and one from there on; None is `undefined`."""
    if value is None:
        return "undefined"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
