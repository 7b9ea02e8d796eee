"""What tests of the command in a process of its own share."""

import os

HANG = 60
"""Seconds that only a hang exceeds."""


def environment():
    """This process's environment without what changes the display."""
    steering = {
        *("CI", "GITHUB_ACTIONS", "NO_COLOR", "FORCE_COLOR"),
        *("TERM", "COLUMNS", "LINES", "PYTHONIOENCODING"),
    }
    return {key: value for key, value in os.environ.items() if key not in steering}
