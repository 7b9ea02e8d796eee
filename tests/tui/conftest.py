"""For all tests of terminals: no thread is left, and ``programs`` can be imported."""

import sys
import threading
from pathlib import Path

import pytest

# importlib mode leaves the path alone; programs.py beside this file is wanted by name.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def no_thread_is_left():
    """An application gives back its workers, and a virtual terminal its reader."""
    yield
    left = [each for each in threading.enumerate() if each.name.startswith("milo-")]
    for thread in left:
        thread.join(10)
    assert not [each.name for each in left if each.is_alive()]
