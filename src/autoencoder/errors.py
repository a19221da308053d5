"""The one kind of error that a user causes and can mend."""


class UserError(Exception):
    """What was expected, what was found, and what to do, in one line. Entry points print it and exit with 1."""
