"""What comes too late, what goes wrong in the runner itself, and pressure that sagas make."""

import pytest

from milo_effects import Fork, Select, Timeout
from milo_effects.testing import simulate


def test_a_time_that_is_up_as_the_effect_is_done_changes_nothing(new_store, run, monkeypatch):
    """The clock's thread may be on its way; the saga has its value."""
    store, late = new_store(), []
    clock = store.runtime.clock
    call_later = clock.call_later

    def keep(seconds, callback):
        late.append(callback)
        return call_later(seconds, callback)

    monkeypatch.setattr(clock, "call_later", keep)

    def saga():
        return (yield Timeout(Select(lambda state: "value"), 60))

    assert run(store, saga()) == "value"
    (expire,) = late
    expire()
    assert store.runtime.runner.alive() == []


def test_a_saga_that_forks_tells_of_pool_pressure(new_store, run):
    """As whoever starts one from outside does."""
    told = []
    store = new_store(
        max_workers=1,
        on_pool_pressure=lambda active, workers: told.append((active, workers)),
        pool_pressure_threshold=2.0,
    )

    def child():
        return
        yield

    def saga():
        yield Fork(child)
        yield Fork(child)

    run(store, saga())
    assert {(2, 1), (3, 1)} <= set(told)  # and perhaps once more, from the thread that began it


@pytest.mark.parametrize("seed", [None, 0])
def test_a_fault_of_the_runner_ends_a_simulated_saga(seed, caplog):
    """As it ends a real one: with the fault, which is logged."""

    def workload(sim):
        store = sim.store()

        def fault(task, variables):
            raise LookupError("the runner is broken")

        store.runtime.runner.scheduler._run = fault
        tasks.append(sim.run_saga(iter_nothing()))

    def iter_nothing():
        return
        yield

    tasks = []
    simulate(workload, seed=seed)
    assert isinstance(tasks[0].error, LookupError)
    assert "running saga" in caplog.text
