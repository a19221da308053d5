"""What the entry points share: an error that a user can mend is printed as one line, and the exit status is 1."""

import atexit
import gc
import io
import signal
import sys
from typing import Any

import click

from autoencoder.errors import UserError


def spare_garbage_collection() -> None:
    """Let a short program not search the objects of torch and MLflow for garbage, neither while it runs nor at its end.

    Of the 3.6 CPU seconds that importing both takes, the first saves 0.7 and the second 0.8. A program that lasts turns
    the collector on again.
    """
    gc.disable()
    # The bindings of triton, which torchvision loads, print of all that is frozen that it leaks.
    atexit.register(lambda: None if "triton" in sys.modules else gc.freeze())


def bar(what: str) -> Any:
    """A progress bar on the terminal over the items of a list, none elsewhere."""
    from functools import partial

    from tqdm import tqdm

    return partial(tqdm, desc=what, leave=False, disable=not sys.stderr.isatty())


class Group(click.Group):
    """A click group whose commands may raise UserError or OSError (disk full, no permission)."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run as a program."""
        spare_garbage_collection()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 is no error
        return super().__call__(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> None:
        try:
            super().invoke(ctx)
        except UserError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:
            raise  # click ends quietly: the reader, such as `head`, has read enough
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            reason = error.strerror or error
            raise click.ClickException(f"{place}{reason}; make room or give access there, and type it again") from error
        except KeyboardInterrupt:
            raise SystemExit(128 + signal.SIGINT) from None
