"""Scheduler: the queue of ready sagas and the workers that take from it."""

import threading

import pytest

from milo_core import Action
from milo_effects import All, Call, Delay, Put, Take


def one(effect):
    return (yield effect)


def workers(threads):
    return [name for name in threads() if name.startswith("milo-worker-")]


def test_workers_start_when_they_are_needed(new_store, run, threads):
    """No store starts a thread before its first saga; one saga needs one worker."""
    store = new_store(max_workers=8)
    store.dispatch(Action("NOTHING"))
    assert threads() == []
    run(store, one(Call(int)))
    assert workers(threads) == ["milo-worker-1"]
    for _ in range(10):
        run(store, one(Call(int)))
        assert store.wait_idle(60)
    assert workers(threads) == ["milo-worker-1"]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_there_are_never_more_than_max_workers(new_store, settle, threads, count):
    """However much is queued, and as many calls run at once."""
    store = new_store(max_workers=count)
    lock, now, most = threading.Lock(), [0], [0]
    meeting = threading.Barrier(count)

    def work():
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        meeting.wait(60)
        with lock:
            now[0] -= 1

    for _ in range(count * 10):
        store.run_saga(one(Call(work)))
    settle(store)
    assert most == [count]
    assert len(workers(threads)) == count


def test_first_come_first_served(new_store, settle):
    """On one worker sagas take their first steps in the order they were started."""
    store, order = new_store(max_workers=1), []

    def saga(n):
        order.append(n)
        yield Delay(0)

    for n in range(200):
        store.run_saga(saga(n))
    settle(store)
    assert order == list(range(200))


def test_what_a_saga_waits_for_goes_before_other_ready_work(new_store, settle):
    """Children of All are next in line, so that combinators do not multiply the queue."""
    store, order = new_store(max_workers=1), []

    def child(n):
        order.append(n)
        return
        yield

    def parent():
        yield All((child(1), child(2)))

    def other():
        order.append("other")
        return
        yield

    def start():
        store.run_saga(parent())
        store.run_saga(other())

    store.run_saga(one(Call(start)))
    settle(store)
    assert order == [1, 2, "other"]


def test_no_work_waits_while_a_worker_sleeps(new_store, hangs, frantic):
    """Bursts from several threads: five hundred times, four calls that need each other meet."""
    store = new_store(lambda state, action: state, None, max_workers=4)
    for _ in range(250):
        meeting = threading.Barrier(4)
        tasks = [store.run_saga(one(Call(meeting.wait, (hangs,)))) for _ in range(4)]
        assert sorted(task.result(hangs) for task in tasks) == [0, 1, 2, 3]


def test_one_dispatch_wakes_as_many_workers_as_there_is_work(new_store, settle, hangs, frantic):
    """Four sagas that one action resumes run at the same time, a hundred times over."""
    store = new_store(lambda state, action: state, None, max_workers=4)

    def saga(meeting):
        yield Take("GO")
        return (yield Call(meeting.wait, (hangs,)))

    for _ in range(100):
        meeting = threading.Barrier(4)
        tasks = [store.run_saga(saga(meeting)) for _ in range(4)]
        settle(store)
        store.dispatch(Action("GO"))
        assert sorted(task.result(hangs) for task in tasks) == [0, 1, 2, 3]


def test_a_worker_that_cannot_be_started_is_replaced_by_the_next(
    new_store, run, monkeypatch, caplog
):
    """The failure is logged; what is queued runs once a thread can be started."""
    store = new_store(max_workers=2)

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        stranded = store.run_saga(one(Call(lambda: "ran")))
        assert store.pool_active == 1
    assert "queued sagas wait until one can be started" in caplog.text
    assert run(store, one(Call(int))) == 0
    assert stranded.result(60) == "ran"


def test_stopping_while_workers_start_leaves_no_thread(new_store, together, threads, frantic):
    """Thirty stores that are shut down as they begin."""
    for _ in range(30):
        store = new_store(lambda state, action: state, None, max_workers=4)

        def burst(store=store):
            for _ in range(20):
                store.dispatch(Action("NOTHING"))
                try:
                    store.run_saga(one(Put(Action("ON"))))
                except Exception:
                    return

        together(burst, store.shutdown)
        store.shutdown()
    for thread in threading.enumerate():
        if thread.name.startswith("milo-"):
            thread.join(60)
    assert threads() == []


def test_many_sagas_many_steps(new_store, settle, frantic):
    """A thousand sagas of ten steps on four workers: each step is taken once, in its order."""
    store = new_store(lambda state, action: state, None, max_workers=4)
    steps = [[] for _ in range(1000)]

    def saga(n):
        for step in range(10):
            yield (Delay(0), Call(int), Put(Action("ON")))[step % 3]
            steps[n].append(step)
        return n

    tasks = [store.run_saga(saga(n)) for n in range(1000)]
    assert [task.result(60) for task in tasks] == list(range(1000))
    assert steps == [list(range(10))] * 1000
