"""``CancelToken`` tells whoever asked, once; ``cancelled_by`` names one for a block."""

import threading

import pytest

from milo_capture import CancelToken, cancelled_by, current_cancel


def test_callbacks_are_called_once_in_order():
    """On the cancelling thread, before ``cancel`` returns; a second ``cancel`` calls nobody."""
    token, told = CancelToken(), []
    token.on_cancel(lambda: told.append("one"))
    token.on_cancel(lambda: told.append("two"))
    assert not token.is_cancelled
    token.cancel()
    token.cancel()
    assert token.is_cancelled
    assert told == ["one", "two"]


def test_a_late_callback_is_called_at_once():
    """Asking to be told of what has happened already is being told; taking it back is harmless."""
    token, told = CancelToken(), []
    token.cancel()
    undo = token.on_cancel(lambda: told.append("late"))
    undo()
    assert told == ["late"]


def test_a_callback_that_is_taken_back_is_not_called():
    """Also when it is taken back twice, or the same function was given twice."""
    token, told = CancelToken(), []
    callback = lambda: told.append("told")  # noqa: E731  # the same one twice
    undo = token.on_cancel(callback)
    token.on_cancel(callback)
    undo()
    undo()
    token.cancel()
    assert told == ["told"]


def test_every_callback_is_called_whatever_another_raises():
    """What they raised comes out of ``cancel`` together."""
    token, told = CancelToken(), []

    def fails():
        raise OSError("no")

    token.on_cancel(fails)
    token.on_cancel(lambda: told.append("told"))
    with pytest.raises(ExceptionGroup) as caught:
        token.cancel()
    assert told == ["told"]
    assert [str(error) for error in caught.value.exceptions] == ["no"]


def test_a_callback_may_use_the_token():
    """It may look, ask to be told again and cancel; no lock of the token is held."""
    token, told = CancelToken(), []

    def callback():
        thread = threading.Thread(target=lambda: told.append(token.is_cancelled))
        thread.start()
        thread.join(60)
        token.on_cancel(lambda: told.append("again"))
        token.cancel()

    token.on_cancel(callback)
    token.cancel()
    assert told == [True, "again"]


@pytest.mark.parametrize("attempt", range(20))
def test_cancelling_while_callbacks_are_added_misses_none(attempt):
    """Each of them is called exactly once, by whichever thread comes first."""
    token, told = CancelToken(), []
    meeting = threading.Barrier(3)

    def add():
        meeting.wait(60)
        for number in range(50):
            token.on_cancel(lambda number=number: told.append(number))

    def cancel():
        meeting.wait(60)
        token.cancel()

    threads = [threading.Thread(target=target) for target in (add, add, cancel)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(told) == sorted([*range(50), *range(50)])


def test_the_innermost_block_wins():
    """And after each block, also one that failed, the outer one is back."""
    outer, inner = CancelToken(), CancelToken()
    assert current_cancel() is None
    with cancelled_by(outer):
        with pytest.raises(OSError, match="no"), cancelled_by(inner):
            assert current_cancel() is inner
            raise OSError("no")
        assert current_cancel() is outer
    assert current_cancel() is None


def test_another_thread_is_in_no_block():
    """A thread that was there before is not cancelled by a block of another."""
    seen, entered, looked = [], threading.Event(), threading.Event()

    def look():
        entered.wait(60)
        seen.append(current_cancel())
        looked.set()

    thread = threading.Thread(target=look)
    thread.start()
    with cancelled_by(CancelToken()):
        entered.set()
        looked.wait(60)
    thread.join(60)
    assert seen == [None]
