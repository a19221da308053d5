"""What the entry points share: an error that a user can mend is printed as one line, and the exit status is 1."""

import gc
import signal
from typing import Any

import click

from autoencoder.errors import UserError


class Group(click.Group):
    """A click group whose commands may raise UserError or OSError (disk full, no permission).

    Python's garbage collector is off: to look through all that torch and MLflow import would take a quarter of a short
    program's time. `gc.freeze`, after these imports, spares that at the exit, too. A command that lasts enables it.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run as a program."""
        gc.disable()
        return super().__call__(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> None:
        try:
            super().invoke(ctx)
        except UserError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            reason = error.strerror or error
            raise click.ClickException(f"{place}{reason}; make room or give access there, and type it again") from error
        except KeyboardInterrupt:
            raise SystemExit(128 + signal.SIGINT) from None
