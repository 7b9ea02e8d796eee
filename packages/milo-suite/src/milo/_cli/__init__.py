"""The ``milo`` command.

run, graph, report, plugins, doctor   the subcommands
group           what ``milo`` knows: its own commands and those of plugins
artifacts       the files that a run leaves behind; documents: files on their way out
run_choices     the options that decide what of a pipeline runs
target          TARGET, read: which file or module, which name
loading         that file or module, imported
resolve         the pipeline in it, or made by a factory in it
blame           an error of the user's code in one line
execution       one run: the pipeline, a display, Ctrl-C
watch           one run after the other, as files change: watch_list, watcher, known_files
local_code      the modules of a target, to be imported afresh
outcome         what a run came to, in words
displays        which display the output gets
plain, live, json_lines   the three displays
github          the display for logs of GitHub Actions
checkup         what doctor looks at; misfits: packages that do not fit each other
progress        the picture the live display shows
plan_text       the picture ``graph`` prints
interrupts, streams, symbols, text, errors   what they stand on
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from milo._cli.errors import Exit, refuse
from milo._cli.group import milo
from milo._cli.streams import discard, make_forgiving
from milo_core.errors import MiloError


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit code (see ``Exit``). Never returns.

    What the user has to put right is one line on stderr, ``milo: error: ...``.
    """
    make_forgiving(sys.stdout)
    code = _exit_code(argv)
    try:
        if sys.stdout is not None:  # closed before we began
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has gone; it wanted no more
        discard(sys.stdout)
    sys.exit(code)


def _exit_code(argv: Sequence[str] | None) -> int:
    try:
        return int(milo.main(args=argv, prog_name="milo", standalone_mode=False) or 0)
    except click.ClickException as error:
        return refuse(_with_advice(error))
    except MiloError as error:
        return refuse(str(error))
    except (KeyboardInterrupt, click.Abort):  # before a pipeline ran, or in a plugin
        return Exit.INTERRUPTED


def _with_advice(error: click.ClickException) -> str:
    message = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message.rstrip('.')} (see {error.ctx.command_path} --help)"
    return message
