"""``milo saga``: the command line of durable sagas. Needs the extra ``milo-durable[cli]``.

Installed beside milo-suite it is a part of the command ``milo``.

finding   list, show
changing  retry, skip, compensate, expire, resume, abort
working   worker
options   what the commands share
ids       which saga is meant
objects   what ``--json`` prints; words: a saga in a few words
output    tables on a terminal and elsewhere; logs
text      text of foreign origin, made safe to show

These are quick to import, so that ``milo --help`` is. Imported when a command runs:

app       --app and --db: where the orchestrator comes from
naming    options that name something in a module
calls     an async call made by a command; what goes wrong, as a message and an exit code
showing   one saga as text; timeline: its steps and history as rows
telling   a worker that says what it does
"""

from __future__ import annotations

import click

from milo_durable.cli.changing import abort, compensate, expire, resume, retry, skip
from milo_durable.cli.finding import list_, show
from milo_durable.cli.working import worker

USAGE = 2


@click.group(invoke_without_command=True)
@click.pass_context
def saga(ctx: click.Context) -> int | None:
    """Look at durable sagas, and operate them.

    ID is a saga's id, or how it begins if no other begins so.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        return USAGE
    return None


for _command in (list_, show, retry, skip, compensate, expire, resume, abort, worker):
    saga.add_command(_command)
