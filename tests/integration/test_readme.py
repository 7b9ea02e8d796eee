"""The root README keeps its word: single-line commands, and examples that print what it says."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
EXAMPLES = [
    (code, output)
    for (language, code), (next_language, output) in pairwise(BLOCKS)
    if (language, next_language) == ("python", "text")
]


def test_the_first_block_is_two_commands():
    """A newcomer pastes one line for the demo, or one line for the tests."""
    language, text = BLOCKS[0]
    demo, test = text.splitlines()
    assert language == "sh"
    assert demo.startswith("python3 -m venv ")
    assert demo.removesuffix("demo") == test.removesuffix("test")


def test_every_python_block_says_what_it_prints():
    """No example stands without the output that this file compares."""
    assert len(EXAMPLES) == [language for language, _ in BLOCKS].count("python")


@pytest.mark.parametrize(("code", "output"), EXAMPLES)
def test_examples_print_what_the_readme_shows(code, output, tmp_path):
    """Each example, saved as a file and run, prints the block below it."""
    script = tmp_path / "example.py"
    script.write_text(code)
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, timeout=60
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == (output, "", 0)
