"""Real source code for the page: classes of a Python file and functions of a script, with their words marked."""

import ast
import re

from markupsafe import Markup
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers.javascript import JavascriptLexer
from pygments.lexers.python import PythonLexer


def python(source: str, *names: str) -> Markup:
    """The classes and functions `names` of a module's source."""
    found = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    segments = [ast.get_source_segment(source, found[name]) for name in names]
    return _marked("\n\n\n".join(str(segment) for segment in segments), PythonLexer())


def script(source: str, *names: str) -> Markup:
    """The top-level functions `names` of a script's source, with the comments above them."""
    segments = []
    for name in names:
        (segment,) = re.findall(rf"^(?://[^\n]*\n)*function {name}\(.*?^}}$", source, re.MULTILINE | re.DOTALL)
        segments.append(segment)
    return _marked("\n\n".join(segments), JavascriptLexer())


def _marked(text: str, lexer: PythonLexer | JavascriptLexer) -> Markup:
    return Markup(highlight(text, lexer, HtmlFormatter(nowrap=True)).rstrip("\n"))  # noqa: S704
