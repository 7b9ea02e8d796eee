"""``python -m milo``: the ``milo`` command."""

from milo._cli import main

if __name__ == "__main__":
    main()
