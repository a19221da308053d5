"""One run as one HTML file, which needs no network and is the same bytes for the same run."""

import ast
import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers.javascript import JavascriptLexer
from pygments.lexers.python import PythonLexer

from autoencoder.report.facts import facts
from autoencoder.report.run import Run

FOLDER = Path(__file__).parent
SOURCES = {  # by model: the module, and its classes and functions, that are printed beside those of the script
    "linear": ("../models/linear.py", ("Encoder", "Decoder"), ("linear",)),
    "mlp": ("../models/networks.py", ("mlp", "_layers"), ("linear",)),
    "convolutional": ("../models/networks.py", ("convolutional",), ("convolution",)),
}

CONSTRAINTS = ("none", "l1", "top_k", "contractive", "variational")  # those that `network` computes
UNKNOWN = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'">
<title>A run that this page cannot compute</title>
<h1>A run that this page cannot compute</h1>
<p>This page computes what models do whose pieces it knows. The model of this run is {model}, its constraint is
{constraint}. Its test error is {mse:.4f} (mean squared error, pixels between -1 and 1). The files
metrics/evaluation.json and figures/ show what it does.</p>
</html>
"""

LIMIT = 1_000_000  # bytes above which the weights travel as float16
TOO_LARGE = 10_000_000  # bytes above which nothing on the page can be moved


def render(run: Run) -> str:
    """The page of a run: with float32 weights if that is below 1 MB, else with float16; not live above 10 MB.

    Of pieces that somebody has added it only prints that it cannot compute them.
    """
    model, constraint = run.description["model"], run.description.get("constraint", {}).get("name", "none")
    if model not in SOURCES or constraint not in CONSTRAINTS:
        named = {"model": escape(model), "constraint": escape(constraint)}
        return UNKNOWN.format(**named, mse=run.evaluation["test"]["mse"])
    context, payload = facts(run)
    for precision in ("float32", "float16"):
        page = _fill(context, payload, precision)
        if len(page.encode()) <= LIMIT:
            break
    return page if len(page.encode()) <= TOO_LARGE else _fill(context, None, precision)


def _fill(context: dict[str, Any], payload: dict[str, Any] | None, precision: str) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.loader = FileSystemLoader(FOLDER)
    environment.filters |= {
        "thousands": "{:,}".format,
        "mse": "{:.4f}".format,
        "times": lambda value: f"{value:.2f}" if value < 10 else f"{value:.0f}",  # noqa: PLR2004
        "tenth": "{:.1f}".format,
        "plural": lambda n, thing: f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s",
    }
    style, script = ((FOLDER / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    module, classes, functions = SOURCES[context["description"]["model"]]
    data = json.dumps(payload, sort_keys=True, separators=(",", ":"), default=lambda array: _tensor(array, precision))
    return environment.get_template("page.html.jinja").render(
        **context,
        style=Markup(style),  # noqa: S704 (these three are this project's own)
        script=Markup(script),  # noqa: S704
        data=Markup(data.replace("</", "<\\/")),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
        live=payload is not None,
        precision=precision,
        python_source=_python((FOLDER / module).read_text(encoding="utf-8"), *classes),
        script_source=_script(script, *functions, "encode", "decode"),
    )


def _tensor(array: np.ndarray[Any, Any], precision: str) -> dict[str, Any]:
    """Numbers for the script: bytes and float16 as they are, all others with this precision."""
    kind = array.dtype.name if array.dtype in (np.uint8, np.float16) else precision
    content = np.ascontiguousarray(array, np.dtype(kind).newbyteorder("<")).tobytes()
    return {"type": kind, "shape": list(array.shape), "base64": base64.b64encode(content).decode()}


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _python(source: str, *names: str) -> Markup:
    """The classes and functions `names` of a module, with their words marked."""
    found = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    return _marked("\n\n\n".join(str(ast.get_source_segment(source, found[name])) for name in names), PythonLexer())


def _script(source: str, *names: str) -> Markup:
    """The top-level functions `names` of a script, with the comments above them and their words marked."""
    functions = [rf"^(?://[^\n]*\n)*function {name}\(.*?^}}$" for name in names]
    found = [re.findall(function, source, re.MULTILINE | re.DOTALL)[0] for function in functions]
    return _marked("\n\n".join(found), JavascriptLexer())


def _marked(text: str, lexer: PythonLexer | JavascriptLexer) -> Markup:
    return Markup(highlight(text, lexer, HtmlFormatter(nowrap=True)).rstrip("\n"))  # noqa: S704
