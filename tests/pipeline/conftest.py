"""For all tests of pipelines: ``run_tools`` can be imported, and no test leaves a thread behind."""

import sys
import threading
from pathlib import Path

import pytest

from milo_pipeline import set_active_pipeline

# importlib mode leaves the path alone; run_tools.py beside this file is wanted by name.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def no_thread_is_left():
    """A run gives back its workers, timers, event loop and feed, whatever came of it."""
    yield
    left = [each for each in threading.enumerate() if each.name.startswith("milo-")]
    for thread in left:  # one that a timeout has set aside ends a moment after its handler
        thread.join(10)
    set_active_pipeline(None)
    assert not [each.name for each in left if each.is_alive()]
