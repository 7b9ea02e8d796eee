"""What building a site raises.

    SiteError         the folder cannot become a site; the message says which file and why
    └── BrokenLinks   it became one, and some of its links lead nowhere

What the operating system refuses stays an ``OSError``, unless the file needs naming.
"""

from __future__ import annotations


class SiteError(Exception):
    """A folder cannot be built into a site."""


class BrokenLinks(SiteError):
    """The site is written, and some of its links lead nowhere.

    Attributes:
        broken: one line per broken link, in the order of the pages.
    """

    def __init__(self, broken: tuple[str, ...]) -> None:
        noun = "link" if len(broken) == 1 else "links"
        super().__init__("\n".join([f"{len(broken)} broken {noun}:", *broken]))
        self.broken = broken
