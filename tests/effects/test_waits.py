"""What handlers wait with: a start function and its resume, or a ``Wait`` of their own."""

import threading
from dataclasses import dataclass

import pytest

from milo_effects import (
    Call,
    Delay,
    EffectRegistry,
    EffectResult,
    Race,
    ResumedTwiceError,
    SagaCancelled,
    Wait,
    answers,
    handles,
)


def one(effect):
    return (yield effect)


# Start functions


@dataclass(frozen=True)
class Begin:
    """Waits as its ``start`` says."""

    start: object


@handles(Begin)
def begin(effect, context, store):
    return EffectResult.wait(effect.start)


@pytest.fixture
def waiting_store(new_store):
    return new_store(registry=EffectRegistry(begin), max_workers=2)


def nothing():
    """A way to stop that does nothing."""


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        (lambda resume: resume.send(5), 5),
        (lambda resume: resume.next(), None),
        (lambda resume: resume.throw(LookupError("late")), LookupError),
    ],
)
@pytest.mark.parametrize("when", ["in start", "from a thread before start returns", "later"])
def test_a_wait_can_be_ended_whenever(waiting_store, ended, settle, how, outcome, when):
    """Synchronously, by another thread while ``start`` still runs, or afterwards."""
    kept = []

    def start(resume):
        if when == "in start":
            how(resume)
        elif when == "later":
            kept.append(resume)
        else:
            thread = threading.Thread(target=how, args=(resume,))
            thread.start()
            thread.join(60)
        return nothing

    task = waiting_store.run_saga(one(Begin(start)))
    settle(waiting_store)
    for resume in kept:
        how(resume)
    assert ended(task) == outcome


SECOND = [
    lambda resume: resume.send(2),
    lambda resume: resume.next(),
    lambda resume: resume.throw(LookupError("second")),
    lambda resume: resume.send_later(2),
]


@pytest.mark.parametrize("second", SECOND)
@pytest.mark.parametrize("first", SECOND[:3])
def test_a_second_resume_before_the_saga_goes_on_is_thrown_into_it(
    waiting_store, run, first, second
):
    """The saga does not get the first answer, whatever it was, and can catch the mistake."""

    def start(resume):
        first(resume)
        second(resume)
        return nothing

    def saga():
        effect = Begin(start)
        with pytest.raises(ResumedTwiceError, match="resumed its saga twice") as caught:
            yield effect
        return caught.value.effect is effect, (yield Delay(0))

    assert run(waiting_store, saga()) == (True, None)


def test_the_error_names_the_effect_and_the_second_answer(waiting_store, run):
    """What was given, and what to do."""
    problem = LookupError("second")

    def start(resume):
        resume.send("first")
        resume.throw(problem)
        return nothing

    def saga():
        with pytest.raises(ResumedTwiceError, match="once, by whichever comes first") as caught:
            yield Begin(start)
        return caught.value

    error = run(waiting_store, saga())
    assert error.answer is problem
    assert "Begin(start=" in str(error) and "LookupError('second')" in str(error)


def test_a_third_resume_is_as_a_second(waiting_store, run):
    """The saga is told of the latest one."""

    def start(resume):
        for number in range(3):
            resume.send(number)
        return nothing

    def saga():
        with pytest.raises(ResumedTwiceError) as caught:
            yield Begin(start)
        return caught.value.answer

    assert run(waiting_store, saga()) == 2


@pytest.mark.parametrize("second", SECOND)
@pytest.mark.parametrize("then", ["has ended", "waits for something else"])
def test_a_second_resume_after_the_saga_went_on_is_raised_to_its_caller(
    waiting_store, settle, ended, second, then
):
    """Who resumes too often is told; the saga, which has its answer, is not disturbed."""
    kept = []

    def start(resume):
        kept.append(resume)
        return nothing

    def saga():
        first = yield Begin(start)
        return first if then == "has ended" else (first, (yield Begin(start)))

    task = waiting_store.run_saga(saga())
    settle(waiting_store)
    kept[0].send(1)
    settle(waiting_store)
    with pytest.raises(ResumedTwiceError, match="resumed its saga twice"):
        second(kept[0])
    if then == "has ended":
        assert ended(task) == 1
    else:
        kept[1].send(2)
        assert ended(task) == (1, 2)


def test_each_wait_is_resumed_by_its_own_resume(waiting_store, run):
    """A wait that begins while an earlier one's second resume fails gets its own answer."""
    kept, refused = [], []

    def start(resume):
        for earlier in kept:
            with pytest.raises(ResumedTwiceError):
                earlier.send("too late")
            refused.append(earlier)
        kept.append(resume)
        resume.send(len(kept))
        return nothing

    def saga():
        return (yield Begin(start)), (yield Begin(start)), (yield Begin(start))

    assert run(waiting_store, saga()) == (1, 2, 3)
    assert len(refused) == 3


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("how", SECOND)
def test_resumes_after_a_stop_are_silent(waiting_store, settle, ended, how, times):
    """Who could not know of the cancellation makes no mistake, however often."""
    kept = []

    def start(resume):
        kept.append(resume)
        return nothing

    task = waiting_store.run_saga(one(Begin(start)))
    settle(waiting_store)
    task.cancel()
    assert ended(task) is SagaCancelled
    for _ in range(times):
        how(kept[0])


def test_resuming_twice_at_once_is_told_once(waiting_store, together, settle, frantic):
    """Two hundred times from two threads: one of saga and caller is told, and no one hangs."""
    for _ in range(200):
        kept, told = [], []

        def start(resume, kept=kept):
            kept.append(resume)
            return nothing

        def send(number, kept=kept, told=told):
            try:
                kept[0].send(number)
            except ResumedTwiceError:
                told.append(number)

        def saga(start=start, told=told):
            try:
                return (yield Begin(start))
            except ResumedTwiceError as error:
                told.append(error.answer)

        task = waiting_store.run_saga(saga())
        settle(waiting_store)
        together(lambda s=send: s(1), lambda s=send: s(2))
        first = task.result(60)
        assert len(told) == 1
        assert first in (None, *({1, 2} - set(told)))


def test_send_later_resumes_when_its_result_is_called(waiting_store, settle, hangs):
    """For callers that hold a lock: the worker is woken by the function that comes back."""
    kept = []

    def start(resume):
        kept.append(resume)
        return nothing

    task = waiting_store.run_saga(one(Begin(start)))
    settle(waiting_store)
    wake = kept[0].send_later(5)
    assert not task.done()
    wake()
    assert task.result(hangs) == 5


def test_cancelling_stops_what_was_started_once(waiting_store, settle, ended):
    """The function that ``start`` returned is called, and a late resume does nothing."""
    kept, stopped = [], []

    def start(resume):
        kept.append(resume)
        return lambda: stopped.append(1)

    task = waiting_store.run_saga(one(Begin(start)))
    settle(waiting_store)
    task.cancel()
    assert ended(task) is SagaCancelled
    kept[0].send(5)
    settle(waiting_store)
    assert stopped == [1]


def test_a_cancellation_during_start_stops_it_afterwards(new_store, ended):
    """The wait is begun, then stopped; the saga gets ``SagaCancelled`` at its yield."""
    stopped = []

    @handles(Begin)
    def cancelled_meanwhile(effect, context, store):
        def start(resume):
            context.cancel_tree()
            return lambda: stopped.append(1)

        return EffectResult.wait(start)

    store = new_store(registry=EffectRegistry(cancelled_meanwhile))
    assert ended(store.run_saga(one(Begin(None)))) is SagaCancelled
    assert stopped == [1]


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_stop_that_raises_is_logged_and_the_saga_cancelled(
    waiting_store, settle, ended, caplog, error
):
    """A plugin's mistake does not make its sagas immortal."""

    def stop():
        raise error("cannot stop")

    task = waiting_store.run_saga(one(Begin(lambda resume: stop)))
    settle(waiting_store)
    task.cancel()
    assert ended(task) is SagaCancelled
    assert "cannot stop" in caplog.text


@pytest.mark.parametrize("how", ["send", "throw"])
def test_winding_down_delays_the_cancellation_until_resumed(waiting_store, settle, ended, how):
    """The saga is told only when what it waited for has ended; the result is not."""
    kept, told = [], []

    def start(resume):
        kept.append(resume)
        return lambda: "winding down"

    def saga():
        try:
            told.append((yield Begin(start)))
        except BaseException as error:
            told.append(type(error))
            raise

    task = waiting_store.run_saga(saga())
    settle(waiting_store)
    task.cancel()
    settle(waiting_store)
    assert told == []
    assert not task.done()
    kept[0].send(5) if how == "send" else kept[0].throw(ValueError("late"))
    assert ended(task) is SagaCancelled
    assert told == [SagaCancelled]


def test_winding_down_may_be_over_before_it_is_said(waiting_store, settle, ended):
    """A stop function that resumes and then answers ``WINDING_DOWN`` hangs nobody."""
    kept = []

    def start(resume):
        kept.append(resume)

        def stop():
            resume.next()
            return "winding down"

        return stop

    task = waiting_store.run_saga(one(Begin(start)))
    settle(waiting_store)
    task.cancel()
    assert ended(task) is SagaCancelled


def test_what_never_winds_down_is_closed_at_shutdown(waiting_store, settle, ended, monkeypatch):
    """Shutdown gives it its time and then closes the generator."""
    monkeypatch.setattr("milo_effects.runtime.CLEANUP_SECONDS", 0.01)
    stops = []

    def stop():
        stops.append(1)
        return "winding down"

    task = waiting_store.run_saga(one(Begin(lambda resume: stop)))
    settle(waiting_store)
    task.cancel()
    waiting_store.shutdown()
    assert ended(task) is SagaCancelled
    assert len(stops) == 2


def test_resuming_and_cancelling_at_the_same_time(waiting_store, together, settle, ended, frantic):
    """Two hundred times: the saga ends once, with the value or cancelled."""
    for _ in range(200):
        kept, begun = [], threading.Event()

        def start(resume, kept=kept, begun=begun):
            kept.append(resume)
            begun.set()
            return nothing

        task = waiting_store.run_saga(one(Begin(start)))
        assert begun.wait(60)
        together(lambda k=kept: k[0].send(5), task.cancel)
        assert ended(task) in (5, SagaCancelled)


def test_a_wait_that_was_over_and_raises_is_logged(waiting_store, run, caplog):
    """An error after the resume has nowhere else to go."""

    def start(resume):
        resume.send(5)
        raise ValueError("afterwards")

    assert run(waiting_store, one(Begin(start))) == 5
    waiting_store.shutdown()
    assert "afterwards" in caplog.text


# Waits as objects


@dataclass(frozen=True)
class Await:
    """Waits with a ``Wait`` that ``make`` makes."""

    make: object


@handles(Await)
def await_it(effect, context, store):
    return effect.make()


class Noting(Wait):
    """A wait that notes what is done with it and is otherwise driven by the test."""

    def __init__(self, begin=lambda wait: None, stop=lambda wait: None):
        self.notes = []
        self._begin = begin
        self._stop = stop

    def begin(self):
        self.notes.append("begin")
        self._begin(self)

    def stop(self):
        self.notes.append("stop")
        return self._stop(self)


@pytest.fixture
def await_store(new_store):
    return new_store(registry=EffectRegistry(await_it), max_workers=2)


def awaiting(wait):
    """A saga that waits with ``wait`` and returns its answer."""
    return (yield Await(lambda: wait))


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        (lambda wait: wait.send(5), 5),
        (lambda wait: wait.next(), None),
        (lambda wait: wait.throw(LookupError("late")), LookupError),
        (lambda wait: wait.send_later(5)(), 5),
    ],
)
def test_a_parked_wait_is_resumed(await_store, settle, ended, how, outcome):
    """By any thread; its ``stop`` is not called, and it knows its task from the beginning."""
    wait = Noting(lambda wait: wait.notes.append(wait.task))
    task = await_store.run_saga(awaiting(wait))
    settle(await_store)
    assert not task.done()
    how(wait)
    assert ended(task) == outcome
    assert wait.notes == ["begin", task]


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        (lambda wait: wait.send(5), 5),
        (lambda wait: wait.next(), None),
        (lambda wait: wait.throw(LookupError("at once")), LookupError),
        (lambda wait: wait.notes.append(wait.send_later(5)), 5),
    ],
)
def test_a_wait_may_be_resumed_from_within_begin(await_store, ended, how, outcome):
    """The worker goes on with the answer: there is nobody to wake, and nothing to stop."""
    wait = Noting(how)
    assert ended(await_store.run_saga(awaiting(wait))) == outcome
    assert wait.notes in (["begin"], ["begin", None])


def test_of_several_resumes_of_a_wait_the_first_counts(await_store, settle, ended):
    """Later ones do nothing, also when the saga waits for something else by then."""
    first, second = Noting(lambda wait: (wait.send(1), wait.send(2), wait.next())), Noting()

    def saga():
        return (yield Await(lambda: first)), (yield Await(lambda: second))

    task = await_store.run_saga(saga())
    settle(await_store)
    first.throw(ValueError("too late"))
    assert first.send_later(3) is None
    second.send(4)
    second.send(5)
    assert ended(task) == (1, 4)
    second.send(6)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_begin_raises_goes_to_the_saga(await_store, run, left, error):
    """The wait has not begun, so it is not stopped either; later resumes do nothing."""

    def fail(wait):
        raise error("cannot begin")

    wait = Noting(fail)

    def saga():
        with pytest.raises(error, match="cannot begin"):
            yield Await(lambda: wait)
        wait.send("too late")
        return "went on"

    assert run(await_store, saga()) == "went on"
    assert wait.notes == ["begin"]
    assert left(await_store) == {}


def test_a_begin_that_resumes_and_raises_is_logged(await_store, run, caplog):
    """The saga has its answer; the error has nowhere else to go."""

    def fail(wait):
        wait.send(5)
        raise ValueError("afterwards")

    assert run(await_store, awaiting(Noting(fail))) == 5
    assert "afterwards" in caplog.text


def test_cancelling_stops_a_wait(await_store, settle, ended):
    """Once; what resumes it afterwards does nothing."""
    wait = Noting()
    task = await_store.run_saga(awaiting(wait))
    settle(await_store)
    task.cancel()
    assert ended(task) is SagaCancelled
    wait.send(5)
    task.cancel()
    settle(await_store)
    assert wait.notes == ["begin", "stop"]


def test_a_saga_cancelled_while_it_begins_to_wait(await_store, ended):
    """The wait is begun, then stopped, whether it was resumed by then or not."""
    for resumed in (False, True):

        def cancel(wait, resumed=resumed):
            if resumed:
                wait.send(5)
            wait.task.cancel_tree()

        wait = Noting(cancel)
        assert ended(await_store.run_saga(awaiting(wait))) is SagaCancelled
        assert wait.notes == ["begin", "stop"]


def test_what_a_cancelled_saga_was_given_is_given_back(new_store, gate, settle, ended):
    """Resumed, and cancelled before its next step: ``stop`` hears of it, the saga of no answer."""
    store = new_store(registry=EffectRegistry(await_it), max_workers=1)
    given, returned = [], []
    wait = Noting(stop=lambda wait: returned.extend(given))
    task = store.run_saga(awaiting(wait))
    settle(store)
    busy, leave = gate(), gate()
    store.run_saga(one(Call(lambda: (busy.set(), leave.pass_through()))))
    busy.pass_through()
    given.append("message")
    wait.send(given[0])
    task.cancel()
    leave.set()
    assert ended(task) is SagaCancelled
    assert wait.notes == ["begin", "stop"]
    assert returned == ["message"]


def test_what_the_saga_got_is_not_given_back(await_store, settle, ended):
    """Once it has gone on, cancelling it stops what it waits for then and nothing else."""
    first, second = Noting(), Noting()

    def saga():
        yield Await(lambda: first)
        yield Await(lambda: second)

    task = await_store.run_saga(saga())
    settle(await_store)
    first.send("message")
    settle(await_store)
    task.cancel()
    assert ended(task) is SagaCancelled
    assert (first.notes, second.notes) == (["begin"], ["begin", "stop"])


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_wait_whose_stop_raises_is_logged(await_store, settle, ended, caplog, error):
    """The saga is cancelled all the same."""

    def fail(wait):
        raise error("cannot stop")

    task = await_store.run_saga(awaiting(Noting(stop=fail)))
    settle(await_store)
    task.cancel()
    assert ended(task) is SagaCancelled
    assert "cannot stop" in caplog.text


@pytest.mark.parametrize("how", ["send", "throw"])
def test_a_wait_may_wind_down(await_store, settle, ended, how):
    """Its saga is told of the cancellation when the wait is resumed at last; of no answer."""
    wait = Noting(stop=lambda wait: "winding down")
    task = await_store.run_saga(awaiting(wait))
    settle(await_store)
    task.cancel()
    settle(await_store)
    assert not task.done()
    wait.send(5) if how == "send" else wait.throw(ValueError("late"))
    assert ended(task) is SagaCancelled
    assert wait.notes == ["begin", "stop"]


def test_a_wait_in_a_race_is_stopped_when_it_loses(await_store, run, left, gate):
    """As a child's wait, too, it is stopped once."""
    begun = gate()
    wait = Noting(lambda wait: begun.set())
    race = Race((Await(lambda: wait), Call(begun.pass_through)))
    assert run(await_store, one(race)) == "passed"
    assert wait.notes == ["begin", "stop"]
    assert left(await_store) == {}


def test_the_base_says_what_is_missing(await_store, run):
    """A subclass that forgot ``begin`` fails its saga; one that forgot ``stop`` cannot stop."""

    def saga():
        with pytest.raises(NotImplementedError):
            yield Await(Wait)
        return "went on"

    assert run(await_store, saga()) == "went on"
    with pytest.raises(NotImplementedError):
        Wait().stop()


def test_a_handler_marked_with_answers_may_follow_a_wait(new_store, settle, ended):
    """A ``Wait`` is followed as any other reply is."""

    @answers(Await)
    def follow(effect, context, store):
        return context.follow(effect.make())

    store = new_store(registry=EffectRegistry(follow))
    wait = Noting()
    task = store.run_saga(awaiting(wait))
    settle(store)
    wait.send(5)
    assert ended(task) == 5
