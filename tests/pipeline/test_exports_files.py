"""Writing what a run leaves behind: as a whole, or not at all and with a reason."""

import json
import os
import sys

import pytest
from export_runs import FAILED, SITE, told

from milo_core import MiloError
from milo_pipeline.exports import (
    ExportError,
    check_place,
    write_report,
    write_text,
    write_timeline,
    write_trace,
)

RUN = (SITE, *told(SITE, *FAILED))


@pytest.mark.parametrize("write", [write_timeline, write_trace, write_report])
def test_nothing_else_is_left_in_the_folder(tmp_path, write):
    """The file replaces the one before it, and no other remains."""
    path = tmp_path / "out"
    path.write_text("old")
    write(path, *RUN)
    assert os.listdir(tmp_path) == ["out"]
    assert len(path.read_text(encoding="utf-8")) > 1000


def test_json_files_hold_json(tmp_path):
    """The timeline and the trace can be read by anybody."""
    write_timeline(tmp_path / "a", *RUN)
    write_trace(tmp_path / "b", *RUN)
    assert json.loads((tmp_path / "a").read_text())["status"] == "failed"
    assert json.loads((tmp_path / "b").read_text())["displayTimeUnit"] == "ms"


@pytest.mark.parametrize("write", [write_timeline, write_trace, write_report])
def test_a_missing_folder(tmp_path, write):
    """The message names the file and the folder to make."""
    with pytest.raises(ExportError) as refused:
        write(tmp_path / "no" / "out", *RUN)
    assert isinstance(refused.value, MiloError)
    assert "there is no folder" in str(refused.value)
    assert str(tmp_path / "no") in str(refused.value)


def test_places_that_cannot_be_a_file(tmp_path):
    """A folder, a file for a folder, and a name no file can have are refused."""
    with pytest.raises(ExportError, match="that is a folder"):
        write_text(tmp_path, "x")
    (tmp_path / "file").write_text("old")
    with pytest.raises(ExportError, match=r"cannot write the trace to .*Not a directory"):
        write_trace(tmp_path / "file" / "out", *RUN)
    with pytest.raises(ExportError, match="null"):
        write_text("a\0b", "x")
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_link_goes_on_pointing_to_its_file(tmp_path):
    """The file behind a link is replaced, not the link."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_is_written_to(tmp_path):
    """A place that is no file, such as /dev/stdout, stays what it is."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(tmp_path / "pipe", "said")
        assert os.read(reader, 100) == b"said"
    finally:
        os.close(reader)


def test_a_place_can_be_checked_before_the_run(tmp_path):
    """What will be refused is refused at once, and nothing is written."""
    check_place(tmp_path / "out")
    with pytest.raises(ExportError, match=r"the report to .*there is no folder"):
        check_place(tmp_path / "no" / "out", "the report")
    with pytest.raises(ExportError, match="that is a folder"):
        check_place(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="needs a folder one may not write to"
)
def test_a_folder_that_lets_nobody_write(tmp_path):
    """Checked beforehand or met while writing, the message is the system's."""
    tmp_path.chmod(0o500)
    try:
        for write in (check_place, lambda path: write_text(path, "x")):
            with pytest.raises(ExportError, match="Permission denied"):
                write(tmp_path / "out")
    finally:
        tmp_path.chmod(0o700)
