"""What ``run`` and ``graph`` share: TARGET, ARGS, and ``--debug``."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import ParamSpec

import click

from milo_core.errors import MiloError

P = ParamSpec("P")


def target_arguments(command: Callable[P, int]) -> Callable[P, int]:
    """Give ``command`` TARGET, ARGS and ``--debug``.

    With ``--debug``, the traceback of what stopped the command is printed
    before its one line on stderr.
    """

    @functools.wraps(command)
    def explained(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return command(*args, **kwargs)
        except MiloError as error:
            if kwargs["debug"]:
                traceback.print_exception(error.__cause__ or error)
            raise

    decorated = click.option("--debug", is_flag=True, help="Show tracebacks of errors.")(explained)
    decorated = click.argument("args", nargs=-1)(decorated)
    return click.argument("target")(decorated)
