"""One run as one HTML file, which needs no network and is the same bytes for the same run."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from autoencoder.report.facts import Facts
from autoencoder.report.run import Run

FOLDER = Path(__file__).parent

LIMIT = 1_000_000  # bytes above which the weights travel as float16
TOO_LARGE = 10_000_000  # bytes above which nothing on the page can be moved


def render(run: Run) -> str:
    """The page of a run: with float32 weights if that is below 1 MB, else with float16; not live above 10 MB."""
    facts = Facts(run)
    context = facts.context()
    for precision in ("float32", "float16"):
        page = _fill(context, facts.payload(precision), precision)
        if len(page.encode()) <= LIMIT:
            break
    return page if len(page.encode()) <= TOO_LARGE else _fill(context, None, precision)


def _fill(context: dict[str, Any], payload: dict[str, Any] | None, precision: str) -> str:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "thousands": lambda n: f"{n:,}",
        "mse": lambda value: f"{value:.4f}",
        "times": lambda value: f"{value:.2f}" if value < 10 else f"{value:.0f}",  # noqa: PLR2004
        "tenth": lambda value: f"{value:.1f}",
        "plural": lambda n, thing: f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s",
    }
    style, script = ((FOLDER / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    data = json.dumps(payload, sort_keys=True, separators=(",", ":")).replace("</", "<\\/")
    return environment.get_template("page.html.jinja").render(
        **context,
        style=Markup(style),  # noqa: S704 (these three are this project's own)
        script=Markup(script),  # noqa: S704
        data=Markup(data),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
        live=payload is not None,
        precision=precision,
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
