"""``milo run --watch`` where watchfiles is not installed."""

import os


def test_it_says_what_to_install(write, folder, milo_process):
    """One line, exit code 2, and nothing has run; without ``--watch`` nobody misses it."""
    write("without/watchfiles.py", "raise ImportError('No module named watchfiles')")
    write("build.py", "from milo import Pipeline\npipeline = Pipeline('p')\n")
    env = {"PYTHONPATH": os.pathsep.join([str(folder / "without"), os.getenv("PYTHONPATH", "")])}
    ended = milo_process("run", "build.py", "--watch", env=env)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "milo: error: --watch needs watchfiles, which cannot be imported (No module named "
        "watchfiles); install it with the extra milo-suite[watch], or as: "
        "pip install 'watchfiles>=1.0'\n"
    )
    assert milo_process("run", "build.py", env=env).code == 0
