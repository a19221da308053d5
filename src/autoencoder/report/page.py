"""One run as one HTML file, which needs no network and is the same bytes for the same run."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers.javascript import JavascriptLexer
from pygments.lexers.python import PythonLexer

from autoencoder.report.charts import Frame, ticks
from autoencoder.report.facts import facts
from autoencoder.report.network import CONSTRAINTS
from autoencoder.report.run import Run

FOLDER = Path(__file__).parent
SOURCES = {  # by model: the module, and its classes and functions, that are printed beside those of the script
    "linear": ("../models/linear.py", ("Encoder", "Decoder"), ("linear",)),
    "mlp": ("../models/networks.py", ("mlp", "_layers"), ("linear",)),
    "convolutional": ("../models/networks.py", ("convolutional",), ("convolution",)),
}
LIMIT = 1_000_000  # bytes of a page above which its weights travel as float16, and the rest is at most 1.5 MB
TOO_LARGE = 10_000_000  # bytes of a page above which nothing on it can be moved

ENVIRONMENT = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FileSystemLoader(FOLDER)
)
ENVIRONMENT.filters |= {
    "thousands": "{:,}".format,
    "mse": "{:.4f}".format,
    "ticks": lambda ends: ticks(*ends),
    "times": "{:.2f}".format,
    "tenth": "{:.1f}".format,
    "number": lambda value: f"{value:.6g}".replace("-", "−"),
    "bars": lambda values: Frame((0.5, len(values) + 0.5), (0, max(*values, 1e-9))),
    "plural": lambda n, thing: f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s",
}


def render(run: Run) -> str:
    """The page of a run: with float32 weights if that is below 1 MB, else with float16; not live above 10 MB.

    Of pieces that somebody has added it only prints that it cannot compute them.
    """
    model, constraint = run.description["model"], run.description["constraint"]["name"]
    if model not in SOURCES or constraint not in CONSTRAINTS:
        return ENVIRONMENT.get_template("unknown.html.jinja").render(run._asdict())
    context, payload = facts(run)
    for precision in ("float32", "float16"):
        page = _fill(context, payload, precision)
        if len(page.encode()) <= LIMIT:
            break
    return page if len(page.encode()) <= TOO_LARGE else _fill(context, None, precision)


def _fill(context: dict[str, Any], payload: dict[str, Any] | None, precision: str) -> str:
    module, classes, functions = SOURCES[context["model"]]
    style, script, python = ((FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js", module))
    data = json.dumps(payload, sort_keys=True, separators=(",", ":"), default=lambda array: _tensor(array, precision))
    return ENVIRONMENT.get_template("page.html.jinja").render(
        **context,
        style=Markup(style),  # noqa: S704 (these three are this project's own)
        script=Markup(script),  # noqa: S704
        data=Markup(data.replace("</", "<\\/")),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
        live=payload is not None,
        precision=precision,
        python_source=_excerpt(python, r"^(?:class|def) {}\(.*?(?=\n+^[^\s)]|\Z)", classes, PythonLexer()),
        script_source=_excerpt(
            script, r"^(?://[^\n]*\n)*function {}\(.*?^}}$", (*functions, "encode", "decode"), JavascriptLexer()
        ),
    )


def _tensor(array: np.ndarray[Any, Any], precision: str) -> dict[str, Any]:
    """Numbers for the script: bytes and float16 as they are, short lists as float32, all others with this precision."""
    kind = array.dtype.name if array.dtype in (np.uint8, np.float16) else "float32" if array.ndim == 1 else precision
    content = np.ascontiguousarray(array, np.dtype(kind).newbyteorder("<")).tobytes()
    return {"type": kind, "base64": base64.b64encode(content).decode()}


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _excerpt(source: str, pattern: str, names: tuple[str, ...], lexer: PythonLexer | JavascriptLexer) -> Markup:
    """What the pattern, with each of the names in it, finds in a program: with words marked."""
    found = [re.findall(pattern.format(name), source, re.MULTILINE | re.DOTALL)[0] for name in names]
    return Markup(highlight("\n\n".join(found), lexer, HtmlFormatter(nowrap=True)).rstrip("\n"))  # noqa: S704
