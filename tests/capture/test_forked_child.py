"""A forked child captures nothing: its output passes through."""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is not on this platform")


def run_script(script):
    """The output of ``script``, run by this interpreter."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def test_a_child_forked_in_a_feeds_block_prints_to_the_real_stream():
    """It may print more than fits, and leave the blocks as if they were nothing."""
    assert (
        run_script(
            """
        import os
        from milo_capture import LineFeed

        delivered = []
        with LineFeed(delivered.extend, capacity=2) as feed:
            with feed.capture("a"):
                print("parent")
                print("begun ", end="")
                child = os.fork()
                if not child:
                    for number in range(5):
                        print("child", number)
                else:
                    os.waitpid(child, 0)
                    print("and ended")
        if child:
            print([line.text for _, line in delivered])
        """
        )
        == "".join(f"child {number}\n" for number in range(5)) + "['parent', 'begun and ended']\n"
    )


def test_a_child_forked_in_a_capture_prints_to_the_real_stream():
    """What it prints is shown, not collected where nobody reads it; its own captures work."""
    script = """
        import os
        from milo_capture import capture

        with capture() as output:
            child = os.fork()
            if not child:
                print("child")
                with capture() as own:
                    print("own")
            else:
                os.waitpid(child, 0)
                print("parent")
        print(output.lines and output.lines[0].text, not child and own.text)
        """
    assert run_script(script) == "child\n[] own\n\nparent False\n"


def test_a_feed_does_not_serve_a_forked_child():
    """A capture on the parent's feed is refused in the child, which says what to do."""
    script = """
        import os
        from milo_capture import CaptureError, LineFeed

        with LineFeed(print) as feed:
            child = os.fork()
            if not child:
                try:
                    with feed.capture("a"):
                        pass
                except CaptureError as error:
                    print("after the fork" in str(error))
            else:
                os.waitpid(child, 0)
        """
    assert run_script(script) == "True\n"
