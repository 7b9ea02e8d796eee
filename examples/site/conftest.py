"""Lets pytest import the example as ``milo run`` does: with its folder on ``sys.path``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
