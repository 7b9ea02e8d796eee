"""Children that die at a crash point: ``crash_nursery.py``, a case a line, its exit code a line.

A case is ``[url, schema, scenario, folder, point]`` in JSON. Each has a process of its own,
forked from this one, which has imported everything and runs nothing else: to start Python for
each of a hundred would take minutes.
"""

import json
import os
import sys
import traceback
from pathlib import Path

from crash_scenarios import Journal, played
from databases import Database

from milo_durable import _crash


def live(url, schema, scenario, folder, point):
    """Play ``scenario`` until ``point`` is reached; what goes wrong is in ``folder``."""
    os.environ[_crash.VARIABLE] = point
    _crash.heed_environment()
    database = Database(url, schema)
    with (Path(folder) / "errors").open("w") as errors:
        try:
            database.run(played, database, Journal(Path(folder) / "journal"), scenario)
            errors.write(f"it came to its end without {point}")
        except BaseException:
            traceback.print_exc(file=errors)


def serve():
    """Live each case that comes in, one after the other."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            live(*json.loads(line))
            os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
