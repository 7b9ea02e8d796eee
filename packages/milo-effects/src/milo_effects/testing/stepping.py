"""Stepping a saga by hand: without a store, a thread, or anything that its effects would do.

>>> from milo_core import Action
>>> from milo_effects import Call, Put
>>> def charge(cart):
...     raise NotImplementedError("no test pays")
>>> def checkout(cart):
...     try:
...         receipt = yield Call(charge, (cart,))
...     except OSError:
...         return "try again"
...     yield Put(Action("PAID", receipt))
...     return "thanks"

>>> saga = stepping(checkout(["tea"]))
>>> saga.effect == Call(charge, (["tea"],))
True
>>> saga.send("receipt 7")
Put(action=Action(type='PAID', payload='receipt 7'))
>>> saga.send()
>>> saga.done, saga.result
(True, 'thanks')

>>> saga = stepping(checkout(["tea"]))
>>> saga.throw(OSError("the bank is closed"))
>>> saga.result
'try again'
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from milo_core import StateError
from milo_effects._runner import not_a_saga
from milo_effects.errors import SagaCancelled
from milo_effects.task import Saga


def stepping(saga: Saga | Callable[[], Any]) -> Stepper:
    """Take ``saga``, a generator or a function that returns one, to its first effect.

    Raises:
        StateError: it is no saga.
    """
    return Stepper(saga)


class Stepper:
    """A saga between two steps: what it has yielded, until it is given an answer.

    What the saga raises is kept, as its ``error``, and raised by whatever is asked for next
    that it no longer has.
    """

    def __init__(self, saga: Saga | Callable[[], Any]) -> None:
        made = saga() if callable(saga) else saga
        if not isinstance(made, Generator):
            raise not_a_saga(saga, made)
        self._saga = made
        self._steps = 0
        self._effect: Any = None
        self._result: Any = None
        self._error: BaseException | None = None
        self._done = False
        self._step(made.send, None)

    @property
    def done(self) -> bool:
        """Whether the saga has ended, by returning or by an error."""
        return self._done

    @property
    def effect(self) -> Any:
        """What the saga has yielded last, and waits for.

        Raises:
            StateError: the saga has ended.
        """
        self._refuse_after_end("it yields no effect")
        return self._effect

    @property
    def result(self) -> Any:
        """What the saga has returned.

        Raises:
            StateError: it has not ended yet.
            BaseException: what the saga has raised instead.
        """
        if not self._done:
            raise StateError(
                f"the saga {self._name} has not ended and has no result; after {self._count} it "
                f"waits for {self._effect!r:.200}. Give it an answer with send or throw"
            )
        if self._error is not None:
            raise self._error
        return self._result

    @property
    def error(self) -> BaseException | None:
        """What the saga has raised, if that is how it ended."""
        return self._error

    def send(self, answer: Any = None) -> Any:
        """Give ``answer`` for the effect. Returns the next one, ``None`` at the saga's end.

        Raises:
            StateError: the saga has ended.
        """
        self._refuse_after_end(f"nobody is there to be sent {answer!r:.200}")
        return self._step(self._saga.send, answer)

    def throw(self, error: BaseException) -> Any:
        """Have the effect fail with ``error``. Returns as ``send`` does.

        Raises:
            StateError: the saga has ended.
        """
        self._refuse_after_end(f"nobody is there to get {error!r:.200}")
        return self._step(self._saga.throw, error)

    def cancel(self) -> Any:
        """Cancel the saga where it waits. Returns the first effect of its cleanup, if any.

        Raises:
            StateError: the saga has ended.
        """
        return self.throw(SagaCancelled(f"{self._name} was cancelled"))

    def __repr__(self) -> str:
        state = f"waits for {self._effect!r}"
        if self._done:
            state = f"returned {self._result!r}" if self._error is None else f"{self._error!r}"
        return f"<Stepper {self._name}: {state}>"

    def _step(self, advance: Callable[[Any], Any], value: Any) -> Any:
        try:
            self._effect = advance(value)
        except StopIteration as end:
            self._done, self._effect, self._result = True, None, end.value
        except BaseException as error:  # the saga's; told by ``error`` and ``result``
            self._done, self._effect, self._error = True, None, error
            if not isinstance(error, Exception | SagaCancelled):
                raise
        else:
            self._steps += 1
        return self._effect

    def _refuse_after_end(self, what: str) -> None:
        if self._done:
            end = "returned" if self._error is None else "failed"
            how = f"{self._result!r:.200}" if self._error is None else f"{self._error!r:.200}"
            raise StateError(
                f"the saga {self._name} has {end} after {self._count}, so {what}: {how}"
            ) from self._error

    @property
    def _name(self) -> str:
        return getattr(self._saga, "__name__", type(self._saga).__name__)

    @property
    def _count(self) -> str:
        return "1 effect" if self._steps == 1 else f"{self._steps} effects"
