"""What can be a handler, what it is given, and what becomes of whatever it raises."""

import asyncio
import contextvars
import functools
import sys
import threading

import pytest
from run_tools import AT_ONCE, SKIP, nothing, phase, raising, run, status_of, statuses

from milo_effects import SagaCancelled
from milo_pipeline import PhasePolicy
from milo_pipeline._handlers import message_of, wants_context

either_way = pytest.mark.parametrize("parallel", [False, True], ids=["alone", "parallel"])
captured = pytest.mark.parametrize("capture_output", [False, True], ids=["", "captured"])


def plain():
    return "no context"


def with_context(context):
    return context


def with_default(context=None, other=1):
    return context


def keyword_only(*, context):
    return context


def positional_only(context="mine", /):
    return context


def anything_by_name(**given):
    return given or "no context"


def with_a_variable():
    context = ["mine"]
    context.append("too")
    return context


def passing_on(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def taking_nothing(function):
    @functools.wraps(function)
    def wrapper():
        return function("of the wrapper")

    return wrapper


def taking_context(function):
    @functools.wraps(function)
    def wrapper(context):
        function()
        return context

    return wrapper


class Callable:
    def __call__(self, context):
        return context

    def method(self, context):
        return context

    @classmethod
    def of_the_class(cls, context):
        return context

    @staticmethod
    def static(context):
        return context


class AsyncCallable:
    async def __call__(self, context):
        return context


async def async_with_context(context):
    return context


async def async_plain():
    return "no context"


GIVEN = {"a": 1, "skipped": None}


@captured
@pytest.mark.parametrize(
    ("handler", "returns"),
    [
        (plain, "no context"),
        (with_context, GIVEN),
        (with_default, GIVEN),
        (keyword_only, GIVEN),
        (positional_only, "mine"),
        (anything_by_name, "no context"),
        (with_a_variable, ["mine", "too"]),
        (lambda: "no context", "no context"),
        (lambda context: context, GIVEN),
        (functools.partial(with_default, other=2), GIVEN),
        (functools.partial(with_context, "mine"), "mine"),
        (Callable(), GIVEN),
        (Callable().method, GIVEN),
        (Callable.of_the_class, GIVEN),
        (Callable.static, GIVEN),
        (passing_on(with_context), GIVEN),
        (passing_on(plain), "no context"),
        (passing_on(passing_on(keyword_only)), GIVEN),
        (taking_nothing(with_context), "of the wrapper"),
        (taking_context(plain), GIVEN),
        (dict, {}),
        (list, []),
        (sys.getrecursionlimit, sys.getrecursionlimit()),
        (b"bound".decode, "bound"),
        (async_with_context, GIVEN),
        (async_plain, "no context"),
        (AsyncCallable(), GIVEN),
        (AsyncCallable().__call__, GIVEN),
        (functools.partial(async_with_context), GIVEN),
        (passing_on(async_with_context), GIVEN),
        (lambda context: async_with_context({**context}), GIVEN),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_anything_callable_is_a_handler(handler, returns, capture_output):
    """A parameter that can be given as ``context=`` gets the results; coroutines are awaited."""
    result, _ = run(
        phase("a", lambda: 1),
        phase("unrelated", lambda: 2),
        phase("skipped", raising(ValueError("no")), policy=SKIP),
        phase("b", handler, "a", "skipped"),
        capture_output=capture_output,
    )
    result.raise_for_status()
    assert result.results["b"] == returns


def test_a_handler_without_a_readable_signature_gets_no_context():
    """Some built-in functions do not say what they take."""
    assert not wants_context(dict.fromkeys)
    assert not wants_context(type)


def test_each_attempt_gets_a_context_of_its_own():
    """What a handler does to its context, neither its next attempt nor anyone else sees."""
    seen = []

    def spoils(context):
        seen.append(dict(context))
        context.clear()
        if len(seen) < 2:
            raise ValueError("no")

    result, _ = run(
        phase("a", lambda: 1),
        phase("b", spoils, "a", policy=AT_ONCE),
        phase("c", lambda context: seen.append({**context}), "a"),
    )
    assert result.ok
    assert seen == [{"a": 1}] * 3
    assert result.results["a"] == 1


# What handlers raise


class Odd(BaseException):
    pass


def async_version(handler):
    async def awaited():
        await asyncio.sleep(0)
        return handler()

    return awaited


@captured
@either_way
@pytest.mark.parametrize("kind", [lambda f: f, async_version], ids=["plain", "async"])
@pytest.mark.parametrize("policy", [SKIP, AT_ONCE], ids=["skip", "retry"])
@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Odd("odd"), SagaCancelled("other")],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_exception_stops(error, policy, kind, parallel, capture_output):
    """``sys.exit()`` and its like fail the phase and the pipeline: no retry, no skip, no hang."""
    handler = raising(error)
    result, watch = run(
        phase("a", kind(handler), parallel=parallel, policy=policy),
        phase("b", nothing, "a"),
        capture_output=capture_output,
    )
    assert handler.calls == 1
    assert statuses(result.state) == {"a": "failed", "b": "pending"}
    assert result.status == "failed"
    assert result.state.error not in ("", "cancelled")
    assert watch.story()[:2] == ["PIPELINE_START", "PHASE_START a 1"]
    assert watch.story()[2:] == [f"PHASE_FAILED a {status_of(result.state, 'a').error}"]
    assert result.blocked == {"b": ("a",)}
    assert result.errors == {"a": error}


@either_way
def test_the_status_names_what_is_no_exception(parallel):
    """An exit without a word is told by its type, one with a code by both."""
    result, _ = run(phase("a", raising(SystemExit(3)), parallel=parallel))
    assert result.state.error == "SystemExit: 3"
    assert isinstance(result.errors["a"], SystemExit)
    result, _ = run(phase("a", raising(KeyboardInterrupt()), parallel=parallel))
    assert result.state.error == "KeyboardInterrupt"


@captured
@either_way
@pytest.mark.parametrize("kind", [lambda f: f, async_version], ids=["plain", "async"])
@pytest.mark.parametrize(
    "error",
    [StopIteration("end"), StopAsyncIteration(), TimeoutError(), ValueError()],
    ids=lambda error: type(error).__name__,
)
def test_any_exception_follows_the_policy(error, kind, parallel, capture_output):
    """Also those that mean something to a generator or an event loop."""
    handler = raising(error)
    result, _ = run(
        phase("a", kind(handler), parallel=parallel, policy=AT_ONCE),
        capture_output=capture_output,
    )
    assert handler.calls == 3
    assert status_of(result.state, "a").error
    result, _ = run(
        phase("a", kind(handler), parallel=parallel, policy=SKIP), capture_output=capture_output
    )
    assert result.ok
    assert statuses(result.state) == {"a": "skipped"}


@captured
def test_a_coroutine_that_cancels_itself_stops(capture_output):
    """Nobody cancelled the run, so its error is the coroutine's own."""
    result, _ = run(
        phase("a", async_version(raising(asyncio.CancelledError())), policy=AT_ONCE),
        capture_output=capture_output,
    )
    assert result.state.error == "CancelledError"


def test_an_error_that_cannot_be_described_is_told_by_its_type():
    """An error whose own text raises fails its phase, not the run."""

    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    assert message_of(Mute()) == "Mute"
    for policy in (PhasePolicy(), SKIP, AT_ONCE):
        result, _ = run(phase("a", raising(Mute()), policy=policy))
        assert status_of(result.state, "a").error == "Mute"


def test_a_wrong_call_is_the_phases_failure():
    """A handler that needs more than a context fails its phase with Python's own words."""
    result, _ = run(phase("a", lambda context, more: None))
    assert "missing 1 required positional argument: 'more'" in result.state.error


def test_async_handlers_share_one_thread():
    """A hundred of them wait at the same time on two workers and one event loop."""
    all_here = asyncio.Barrier(100)
    threads = set()

    async def waits():
        threads.add(threading.current_thread().name)
        await all_here.wait()

    result, _ = run(*[phase(f"p{i}", waits, parallel=True) for i in range(100)], max_workers=2)
    assert result.ok
    assert threads == {"milo-event-loop"}


def test_async_handlers_are_retried():
    """Each attempt awaits a coroutine of its own."""
    attempts = []

    async def works(context):
        attempts.append(context)
        await asyncio.sleep(0)
        if len(attempts) < 3:
            raise ValueError("no")
        return "done"

    result, watch = run(phase("a", lambda: 1), phase("b", works, "a", policy=AT_ONCE))
    assert result.results["b"] == "done"
    assert attempts == [{"a": 1}] * 3
    assert watch.story_of("b")[-2:] == ["PHASE_START b 3", "PHASE_COMPLETE b"]


def test_a_handler_may_run_a_pipeline():
    """A run inside a run has workers of its own."""

    def inner():
        return run(phase("x", lambda: 7), max_workers=1)[0].results["x"]

    result, _ = run(phase("a", inner), phase("b", inner, parallel=True), max_workers=1)
    assert result.results == {"a": 7, "b": 7}


def test_context_variables_do_not_leak_from_one_parallel_phase_to_another():
    """What one handler sets, its neighbours on the same worker do not see."""
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    def sets():
        seen.append(variable.get())
        variable.set("set")

    result, _ = run(*[phase(f"p{i}", sets, parallel=True) for i in range(20)], max_workers=2)
    assert result.ok
    assert seen == ["unset"] * 20
