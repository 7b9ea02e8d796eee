"""What a simulation offers a workload, and what it refuses."""

import contextvars
import threading

import pytest

from milo_core import Action, StateError, Store
from milo_effects import (
    Call,
    Channel,
    Delay,
    EffectRegistry,
    Fork,
    Put,
    SagaContext,
    Select,
    Take,
    TakeEvery,
    Timeout,
    handles,
)
from milo_effects.results import EffectResult, Wait
from milo_effects.testing import (
    Simulation,
    SimulationError,
    SimulationStuck,
    explore,
    simulate,
)

SEEDS = range(60)


def journal(state, action):
    return (*state, action.type)


def hold(workload, seeds=SEEDS):
    failure = explore(workload, seeds)
    assert failure is None, str(failure)


def test_the_result_says_what_came_of_it():
    """Actions, state, time, and who waits for ever, with what it waits for."""

    def workload(sim):
        sim.store(journal, ())

        def saga():
            yield Delay(60)
            yield Put(Action("LATE"))
            yield Take("NEVER")

        sim.run_saga(saga)

    result = simulate(workload, seed=3)
    assert result.seed == 3
    assert [each.type for each in result.actions] == ["LATE"]
    assert result.store.state[:2] == ("@@INIT", "LATE")
    assert result.now == 60
    (parked,) = result.stuck
    assert parked == ("saga-1", Take("NEVER"))
    assert str(parked) == "saga-1 waits at Take('NEVER')"
    assert str(result.trace[0]) == "    0.000  saga-1    started: saga"


def test_a_workload_may_have_no_store():
    """Then there is nothing to run, and nothing came of it."""
    result = simulate(lambda sim: None)
    assert (result.store, result.stuck, result.trace) == (None, (), ())
    with pytest.raises(StateError, match="has no store yet"):
        simulate(lambda sim: sim.run_saga(journal))


@pytest.mark.parametrize("seed", ["7", 1.5, True])
def test_a_seed_is_a_whole_number(seed):
    """Other seeds would be other chances in other versions of Python."""
    with pytest.raises(TypeError, match="a seed is an int"):
        Simulation(seed)


def test_outside_events_come_at_any_time_or_at_theirs():
    """dispatch, cancel and later without a time come at any; with one, not before it."""
    times = set()

    def workload(sim):
        sim.store(journal, ())

        def patient():
            yield Take("NEVER")

        def steps():
            for _ in range(3):
                yield Delay(1)

        task = sim.run_saga(patient)
        sim.run_saga(steps)
        sim.cancel(task, at=2)
        sim.later(lambda: times.add(sim.now))
        sim.dispatch(Action("AT FIVE"), at=5)
        sim.run(2)
        assert task.done()
        sim.run(2)
        assert "AT FIVE" not in sim.stores[0].state
        sim.run()
        assert sim.stores[0].state[-1] == "AT FIVE"
        assert sim.now == 5

    hold(workload)
    assert len(times) > 2


def test_the_steps_of_one_thread_keep_their_order():
    """Other things come between them, but none overtakes another."""
    between = set()

    def workload(sim):
        store = sim.store(journal, ())
        for name in "ab":
            sim.later(
                lambda name=name: store.dispatch(Action(name + "1")),
                lambda name=name: store.dispatch(Action(name + "2")),
            )
        sim.run()
        seen = store.state[1:]
        assert seen.index("a1") < seen.index("a2")
        assert seen.index("b1") < seen.index("b2")
        between.add(seen)

    hold(workload)
    assert len(between) == 6


def test_what_an_outside_step_raises_ends_the_simulation():
    """It comes out of run, and not into a saga in whose turn it happened."""

    def workload(sim):
        sim.store()

        def saga():
            for _ in range(10):
                with pytest.MonkeyPatch.context():
                    try:
                        yield Select()
                    except ZeroDivisionError:
                        pytest.fail("came into the saga")

        sim.run_saga(saga)
        sim.later(lambda: 1 / 0)

    for seed in SEEDS:
        with pytest.raises(ZeroDivisionError):
            simulate(workload, seed=seed)


def test_later_takes_functions():
    """The mistake of calling it at once is told where it is made."""
    with pytest.raises(TypeError, match="functions without arguments, was given None"):
        simulate(lambda sim: sim.later(None))


def test_blocking_lets_everything_else_happen():
    """result, wait_idle and shutdown work, also from other threads."""

    def workload(sim):
        store = sim.store()

        def saga():
            yield Delay(5)
            return sim.now

        task = sim.run_saga(saga)
        with pytest.raises(TimeoutError):
            task.result(2)
        assert sim.now == 2
        assert store.wait_idle()
        assert task.result() == 5
        other = sim.run_saga(saga)
        seen = []
        sim.later(lambda: seen.append(other.result()), blocking=True)
        sim.later(lambda: seen.append(store.wait_idle(1)), blocking=True)
        sim.run()
        assert len(seen) == 2
        sim.later(store.shutdown, blocking=True)
        sim.run()
        with pytest.raises(StateError, match="shut down"):
            store.run_saga(saga)

    hold(workload)


def test_blocking_for_ever_says_who_waits_for_what():
    """A result that cannot come is an error, not a hang."""

    def workload(sim):
        sim.store()

        def patient():
            yield Take("NEVER")

        sim.run_saga(patient).result()

    with pytest.raises(SimulationStuck, match=r"saga-1 waits at Take\('NEVER'\)"):
        simulate(workload)
    with pytest.raises(SimulationStuck, match="no saga is left"):
        simulate(lambda sim: sim.store().runtime.runner.scheduler.event().wait())


def test_a_simulation_without_an_end_is_given_up():
    """Whether time passes or not; until ends it in time."""

    def ticking(sim):
        sim.store()

        def saga():
            while True:
                yield Delay(1)

        sim.run_saga(saga)

    def spinning(sim):
        sim.store()

        def saga():
            while True:
                yield Select()

        sim.run_saga(saga)

    for workload in (ticking, spinning):
        for seed in range(10):
            with pytest.raises(SimulationError, match="has not ended after 1000 steps"):
                simulate(workload, seed=seed, max_steps=1000)
    assert simulate(ticking, until=10).now == 10


def test_cleanup_that_never_ends_is_given_up_too():
    """The first failure is told, and the stores are shut down all the same."""
    stores = []

    def workload(sim):
        stores.append(sim.store())

        def stubborn():
            try:
                yield Take("NEVER")
            finally:
                while True:
                    yield Select()

        sim.run_saga(stubborn)
        sim.run()
        raise LookupError("the first failure")

    with pytest.raises(LookupError, match="the first failure"):
        simulate(workload, max_steps=1000)
    with pytest.raises(StateError, match="shut down"):
        stores[0].run_saga(journal)


def test_a_call_can_take_time():
    """sleep holds the worker for so long; others run meanwhile, as far as there are workers."""

    def workload(sim):
        sim.store(max_workers=1)
        seen = []

        def busy():
            yield Call(sim.sleep, (5,))
            seen.append(("busy", sim.now))

        def quick():
            yield Select()
            seen.append(("quick", sim.now))

        sim.run_saga(busy)
        sim.run(0)
        sim.run_saga(quick)
        sim.run()
        assert seen[-1] == ("quick", 5) or seen == [("quick", 0), ("busy", 5)]

    hold(workload)


def test_a_call_that_outlives_its_timeout_is_set_aside():
    """The saga goes on in time on another worker, or when the frame above it lets it."""

    def workload(sim):
        sim.store(max_workers=1)

        def saga():
            try:
                yield Timeout(Call(sim.sleep, (5,)), 1)
            except TimeoutError:
                return sim.now

        assert sim.run_saga(saga).result() in (1, 5)
        sim.run()
        assert sim.stores[0].pool_active == 0

    hold(workload)
    assert simulate(workload, seed=None).now == 5


def test_wait_idle_is_refused_to_a_call_here_too():
    """The scheduler knows whose turn it is, and that of other threads is nobody's."""

    def workload(sim):
        store = sim.store()

        def saga():
            with pytest.raises(StateError, match="from inside a saga or call"):
                store.wait_idle()
            yield Call(lambda: None)

        sim.later(lambda: store.runtime.runner.scheduler.own_task().undefined)
        sim.run_saga(saga).result()

    with pytest.raises(AttributeError, match="NoneType"):
        simulate(workload)


def test_other_threads_are_refused():
    """A real thread would come at a time that no seed chooses."""

    def workload(sim):
        store = sim.store(journal, ())
        errors = []

        def saga():
            yield Take("GO")

        def work():
            for attempt in (lambda: store.dispatch(Action("GO")), sim.run, store.wait_idle):
                try:
                    attempt()
                except SimulationError as error:
                    errors.append(str(error))

        task = sim.run_saga(saga)
        sim.run()
        thread = threading.Thread(target=work, name="intruder")
        thread.start()
        thread.join()
        assert len(errors) == 3
        assert "intruder uses a store that is simulated on another thread" in errors[0]
        task.cancel()

    simulate(workload)


def test_ctrl_c_ends_the_simulation():
    """On one thread it comes to a saga, of which it is no failure."""

    def workload(sim):
        sim.store()

        def saga():
            raise KeyboardInterrupt
            yield

        sim.run_saga(saga)

    with pytest.raises(KeyboardInterrupt):
        simulate(workload)
    with pytest.raises(KeyboardInterrupt):
        explore(workload)


def test_stores_made_elsewhere_and_several_of_them_run_here():
    """Store(runtime=sim.runtime) is simulated; all stores share the time and one world."""

    def workload(sim):
        mail = Channel(name="mail")
        first = sim.store()
        second = Store(journal, (), runtime=sim.runtime)

        def sender():
            yield Delay(3)
            mail.put("letter")

        def receiver():
            return (yield Take(mail)), sim.now

        task = second.run_saga(receiver)
        first.run_saga(sender)
        assert task.result() == ("letter", 3)
        assert sim.stores == (first,)
        second.shutdown()

    hold(workload)


def test_a_workload_that_depends_on_more_is_told_so():
    """A failure that does not come again is not presented as one of the seed."""
    runs = iter((True, False))

    def workload(sim):
        assert not next(runs)

    with pytest.raises(SimulationError, match="seed 0 the workload failed once, and not again"):
        explore(workload)


def test_random_things_come_from_the_seed():
    """The workload's chance and the sagas' are settled by the seed, and apart."""

    def draw(seed):
        drawn = []
        simulate(lambda sim: drawn.append((sim.random.random(), _jitter(sim))), seed=seed)
        return drawn

    assert draw(1) == draw(1) != draw(2)
    assert draw(None) == draw(None)


def _jitter(sim):
    return sim.store().runtime.random.random()


def test_a_failure_shows_the_end_of_a_long_trace():
    """It names the seed, the error and how much is left out."""

    def workload(sim):
        sim.store()

        def saga():
            for _ in range(50):
                yield Select()

        sim.run_saga(saga)
        sim.run()
        raise LookupError

    failure = explore(workload, [5])
    lines = str(failure).splitlines()
    assert lines[0] == "with seed 5 it fails: LookupError"
    assert lines[1] == f"... {len(failure.trace) - 40} events before"
    assert len(lines) == 43
    assert lines[-1] == "replay with seed=5: simulate(workload, seed=5)"
    assert repr(failure) == "Failure(seed=5, error=LookupError())"


def test_context_variables_stay_with_their_saga():
    """As on real workers: a saga keeps its own, and outside steps see none of them."""
    number = contextvars.ContextVar("number", default=0)

    def workload(sim):
        sim.store()

        def saga(mine):
            number.set(mine)
            for _ in range(5):
                yield Delay(1)
                assert number.get() == mine
            return mine

        def look():
            assert number.get() == 0

        tasks = [sim.run_saga(saga(mine)) for mine in (1, 2)]
        sim.later(look, look, look)
        sim.run()
        assert [task.result() for task in tasks] == [1, 2]

    hold(workload)


def test_effects_of_ones_own_are_interrupted_too():
    """Handlers that answer, wait with a start function or with a Wait; and those that fail."""

    class Ask:
        def __init__(self, how):
            self.how = how

    class Late(Wait):
        def begin(self):
            self.task.clock.call_later(1, lambda: self.send("late"))

        def stop(self):
            pass

    class Broken(Late):
        def begin(self):
            raise LookupError("cannot begin")

    @handles(Ask)
    def ask(effect, context, store):
        return {
            "now": lambda: EffectResult.send("now"),
            "start": lambda: EffectResult.wait(lambda resume: resume.next() or (lambda: None)),
            "late": Late,
            "broken": Broken,
        }[effect.how]()

    def workload(sim):
        sim.store(registry=EffectRegistry(ask))

        def saga():
            try:
                yield Ask("broken")
            except LookupError:
                return (yield Ask("now")), (yield Ask("start")), (yield Ask("late"))

        assert sim.run_saga(saga).result() == ("now", None, "late")

    hold(workload)


def test_sagas_are_named_by_their_simulation():
    """Numbers begin anew in each, names that were given stay."""

    def workload(sim):
        store = sim.store()

        def saga():
            return (yield Fork(named))

        def named():
            yield Select()

        first = store.run_saga(saga)
        second = store.run_saga(named, context=SagaContext("mine"))
        sim.run()
        assert (first.saga_id, second.saga_id, first.result().saga_id) == (
            "saga-1",
            "mine",
            "saga-3",
        )

    hold(workload)


def test_take_every_on_one_store_from_many_threads():
    """Actions of several threads: none is lost, each thread's are in order."""

    def workload(sim):
        store = sim.store()
        seen = []

        def handle(action):
            seen.append(action.payload)
            yield Select()

        def watch():
            yield TakeEvery("N", handle)

        sim.run_saga(watch)
        sim.run()
        for thread in "ab":
            sim.later(
                *[lambda n=n, t=thread: store.dispatch(Action("N", (t, n))) for n in range(4)]
            )
        sim.run()
        assert sorted(seen) == [(t, n) for t in "ab" for n in range(4)]

    hold(workload)


def test_a_reducer_that_waits_for_a_saga_that_puts_is_stuck():
    """With threads each waits for the other: the saga for the store, which the reducer holds."""

    def puts():
        yield Put(Action("B"))

    def workload(sim):
        def reducer(state, action):
            if action.type == "A":
                started.result()
            return state

        store = sim.store(reducer, 0)
        started = sim.run_saga(puts())
        with pytest.raises(StateError, match=r"SimulationStuck.*'B'.*holds the store"):
            store.dispatch(Action("A"))

    simulate(workload)
