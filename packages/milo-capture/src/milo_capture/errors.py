"""What goes wrong.

CaptureError            a feed was used in a way that cannot work
└── FeedClosedError     a capture was opened on a feed that has been closed
"""


class CaptureError(RuntimeError):
    """A capture could not be opened or a feed not be closed; the message says what to do."""


class FeedClosedError(CaptureError):
    """``LineFeed.capture`` was called after ``close()``; ``tag`` is the tag it was given."""

    def __init__(self, tag: object) -> None:
        super().__init__(
            f"capture({tag!r}) on a LineFeed that is closed: its thread has ended and could "
            "deliver no line. Make a new LineFeed, or close this one later."
        )
        self.tag = tag
