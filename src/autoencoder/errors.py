"""The one kind of error that a user causes and can mend."""

import re


class UserError(Exception):
    """What was expected, what was found, and what to do, in one line. Entry points print it and exit with 1."""

    def __init__(self, line: str) -> None:
        super().__init__(without_passwords(line))


def without_passwords(text: str) -> str:
    """`text` with the user and the password left out of every address in it."""
    return re.sub(r"(?<=password=)[^&\s]+", "…", re.sub(r"//[^/\s]*@", "//", text))
