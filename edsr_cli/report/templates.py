"""Pages of HTML that need nothing but themselves: templates, styles and scripts of this folder."""

import base64
import hashlib
import time
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from edsr_cli.text import duration, one_line, significant, size


def render(
    template: str,
    *,
    styles: Sequence[str],
    scripts: Sequence[str],
    more_scripts: bool,
    **values: Any,
) -> Iterator[str]:
    """A page, piece by piece.

    Every value is shown in one line without control characters, and escaped. The page forbids
    itself to load anything from anywhere, and to run or apply anything but what is given here.

    Args:
        template: its name; it extends base.html.jinja.
        styles, scripts: names of what goes into the page, in that order.
        more_scripts: whether these scripts may load others, which lie beside the page.
        values: what the template shows.
    """
    style, script = (Markup("".join(map(_text, names))) for names in (styles, scripts))
    trust = " 'strict-dynamic'" if more_scripts else ""
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; "
        f"script-src {_digest(script)}{trust}; base-uri 'none'; form-action 'none'"
    )
    made = _environment().get_template(template)
    return made.generate(style=style, script=script, policy=Markup(policy), **values)


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _digest(text: str) -> str:
    """How a policy names what it allows (CSP level 2)."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else one_line(str(value)),
        loader=FunctionLoader(_text),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "duration": duration,
        "grouped": "{:,}".format,
        "moment": _moment,
        "significant": significant,
        "size": size,
    }
    return environment


def _moment(seconds: float) -> str:
    """Seconds since 1970 as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
