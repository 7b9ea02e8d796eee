"""The package's README keeps its word: its blocks are a program that prints what it shows."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "packages" / "milo-durable" / "README.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


def test_the_examples_print_what_the_readme_shows(tmp_path):
    """The Python blocks, one after the other, run without a warning and print the text blocks."""
    script = tmp_path / "example.py"
    script.write_text("\n\n".join(blocks("python")))
    command = [sys.executable, "-W", "error", str(script)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("".join(blocks("text")), "", 0)
