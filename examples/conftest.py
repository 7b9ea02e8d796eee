"""Lets pytest import an example as running it does: with its folder on ``sys.path``."""

import sys
from pathlib import Path

for folder in ("site", "durable"):
    sys.path.insert(0, str(Path(__file__).with_name(folder)))
