"""What the entry points share: errors that a user can mend are one line and exit status 1, and no time is lost."""

import gc
import signal
from typing import Any

import click

from autoencoder.errors import UserError


class Group(click.Group):
    """A click group whose commands may raise UserError or OSError (disk full, no permission).

    As a program it does without Python's collector, which would spend a quarter of a short program's time in what torch
    and MLflow import. What lasts turns it on; who imports one of the two has it pass over that at the exit, too.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
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
