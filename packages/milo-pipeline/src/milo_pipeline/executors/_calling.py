"""One call of a handler in a process of its own, seen from where the pipeline runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from milo_capture import run
from milo_pipeline.executors._outcomes import result_of
from milo_pipeline.executors._packing import pack

if TYPE_CHECKING:
    from milo_pipeline.phase import Phase

# First of all the path, so that the child finds everything that this process does.
_BOOTSTRAP: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from milo_pipeline.executors._child import main; main()"
)


def call_in_process(phase: Phase, arguments: Mapping[str, Any], kill_after: float) -> Any:
    """What the handler returned there; see ``ProcessExecutor`` for what is raised."""
    request = pack(phase, arguments)
    return result_of(phase, run(_command(), request=request, check=False, kill_after=kill_after))


def _command() -> list[str]:
    # What multiprocessing gives its children, too: -O, -W, -X and the like.
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [sys.executable, *flags, "-c", _BOOTSTRAP, json.dumps(sys.path)]
