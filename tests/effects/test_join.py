"""Join waits for the tasks of other sagas."""

import pytest

from milo_core import Action, StateError
from milo_effects import (
    All,
    Call,
    ChildCancelledError,
    Fork,
    Join,
    Put,
    Race,
    SagaCancelled,
    Take,
    Timeout,
)


def wait_for(kind, error=None):
    action = yield Take(kind)
    if error is not None:
        raise error
    return action.payload


def joining(task):
    try:
        return (yield Join(task))
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_result_is_sent_back(new_store, park, settle, ended, when):
    """Whether the task ends before it is joined or later."""
    store = new_store()
    task = park(store, wait_for("GO"))
    if when == "before":
        store.dispatch(Action("GO", 5))
        settle(store)
    joiner = park(store, joining(task))
    store.dispatch(Action("GO", 5))
    assert ended(joiner) == 5


def test_it_joins_what_fork_has_sent_back(new_store, run):
    """Sagas that run side by side, and their results together."""
    store = new_store(max_workers=2)

    def work(n):
        return (yield Call(pow, (n, 2)))

    def saga():
        first = yield Fork(work(3))
        second = yield Fork(work(4), attached=True)
        return (yield Join((second, first, second))), (yield Join(first)), (yield Join(()))

    assert run(store, saga()) == ((16, 9, 16), 9, ())


def test_its_error_is_thrown(new_store, park, ended, reports):
    """Who joins can catch it; it has been reported as the error of a fork all the same."""
    store = new_store()
    task = park(store, wait_for("GO", ValueError("five")))
    joiners = [park(store, joining(task)) for _ in range(2)]
    store.dispatch(Action("GO"))
    assert [ended(each) for each in joiners] == [(ValueError, "five")] * 2
    assert reports(store) == [("@@SAGA_ERROR", "ValueError")]


def test_one_that_was_cancelled_throws_child_cancelled_error(new_store, park, ended, reports):
    """The joiner is not cancelled with it: it gets an error it can catch."""
    store = new_store()
    task = park(store, wait_for("NEVER"))
    joiner = park(store, joining(task))
    task.cancel()
    kind, text = ended(joiner)
    assert kind is ChildCancelledError
    assert task.saga_id in text
    assert reports(store) == [("@@SAGA_CANCELLED",)]


def test_of_several_the_first_error_is_thrown_at_once(new_store, park, settle, ended, left):
    """It does not wait for the others, and they run on."""
    store = new_store(max_workers=1)
    tasks = tuple(park(store, wait_for(kind, ValueError(kind))) for kind in "AB")
    slow = park(store, wait_for("SLOW"))
    joiner = park(store, joining((slow, *tasks)))
    store.dispatch(Action("B"))
    assert ended(joiner) == (ValueError, "B")
    store.dispatch(Action("A"))
    settle(store)
    assert not slow.done()
    store.dispatch(Action("SLOW", 5))
    assert ended(slow) == 5
    assert left(store) == {}


def test_of_several_that_have_failed_the_first_named_counts(new_store, park, settle, ended):
    """The order of the tuple decides among errors that are there already."""
    store = new_store(max_workers=1)
    tasks = tuple(park(store, wait_for("GO", ValueError(n))) for n in range(3))
    store.dispatch(Action("GO"))
    settle(store)
    assert ended(park(store, joining((tasks[2], tasks[0])))) == (ValueError, "2")


def test_cancelling_the_joiner_leaves_the_tasks_alone(new_store, park, settle, ended, caplog):
    """They run on, and nobody is told of their ends."""
    store = new_store()
    tasks = park(store, wait_for("GO")), park(store, wait_for("GO", ValueError("five")))
    joiners = [park(store, joining(each)) for each in (tasks, *tasks)]
    for each in joiners:
        each.cancel()
        assert ended(each) is SagaCancelled
    store.dispatch(Action("GO", 5))
    assert [ended(each) for each in tasks] == [5, ValueError]
    settle(store)
    assert caplog.records == []


def test_a_timeout_around_it_leaves_the_task_alone(new_store, park, run, ended):
    """Who waits no longer does not cancel what it waited for."""
    store = new_store()
    task = park(store, wait_for("GO"))

    def saga():
        try:
            yield Timeout(Join(task), 0.001)
        except TimeoutError:
            return (yield Race((Join(task), Call(store.dispatch, (Action("GO", 5),)))))

    assert run(store, saga()) in (5, None)
    assert ended(task) == 5


def test_a_task_of_another_store_can_be_joined(new_store, park, ended):
    """Its store resumes the joiner, which goes on in its own."""
    here, there = new_store(), new_store()
    task = park(there, wait_for("GO"))

    def saga():
        result = yield Join(task)
        yield Put(Action("JOINED", result))

    joiner = park(here, saga())
    there.dispatch(Action("GO", 5))
    assert ended(joiner) is None
    assert here.state[-1] == Action("JOINED", 5)


def test_joining_itself_is_refused(new_store, park, run, ended):
    """It would wait for ever, so it gets an error that says so."""
    store, itself = new_store(), []
    other = park(store, wait_for("NEVER"))

    def saga():
        yield Take("GO")
        try:
            yield Join((other, *itself))
        except StateError as error:
            return str(error)

    itself.append(park(store, saga()))
    store.dispatch(Action("GO"))
    name = itself[0].saga_id
    assert ended(itself[0]) == (
        f"a saga cannot wait for itself: Join was given {name}, which yields it"
    )


@pytest.mark.parametrize(
    "around",
    [lambda saga: Race((saga,)), lambda saga: All((saga,)), lambda saga: Timeout(saga, 60)],
)
def test_joining_who_waits_for_it_is_refused(new_store, park, ended, around):
    """Nor can a saga end that waits for the one that would wait for it."""
    store, parent = new_store(), []

    def child():
        yield Take("GO")
        yield All((Join(parent[0]),))

    def saga():
        yield around(child())

    parent.append(park(store, saga()))
    store.dispatch(Action("GO"))
    assert ended(parent[0]) is StateError


def test_an_attached_saga_may_join_the_one_it_is_attached_to(new_store, park, run, ended):
    """Being cancelled together is not waiting for each other."""
    store, parent = new_store(), []

    def child():
        yield Take("GO")
        return (yield Join(parent[0]))

    def saga():
        task = yield Fork(child(), attached=True)
        yield Take("END")
        return task

    parent.append(park(store, saga()))
    store.dispatch(Action("GO"))
    store.dispatch(Action("END"))
    assert ended(ended(parent[0])) is parent[0].result()


def test_joining_in_a_cleanup(new_store, park, ended):
    """A cancelled saga may wait for what it has forked, before it ends."""
    store, results = new_store(), []

    def saga():
        task = yield Fork(wait_for("GO"))
        try:
            yield Take("NEVER")
        finally:
            results.append((yield Join(task)))

    parent = park(store, saga())
    parent.cancel()
    store.wait_idle()
    store.dispatch(Action("GO", 5))
    assert ended(parent) is SagaCancelled
    assert results == [5]


def test_ends_and_joins_at_the_same_time(new_store, park, settle, together, ended, frantic):
    """Twenty times, tasks end while they are joined: every joiner is told, of everything."""
    for _ in range(20):
        store = new_store(lambda state, action: state, None, max_workers=4)
        tasks = tuple(park(store, wait_for(kind)) for kind in "ABCD")
        joiners = []

        def start(store=store, tasks=tasks, joiners=joiners):
            joiners.extend(store.run_saga(joining(tasks)) for _ in range(5))

        def end(store=store):
            for kind in "ABCD":
                store.dispatch(Action(kind, kind))

        together(start, end, start)
        assert [ended(each) for each in joiners] == [tuple("ABCD")] * 10
        store.shutdown()


@pytest.mark.parametrize("given", [None, 5, [], (None,), wait_for("GO")])
def test_what_is_no_task_is_refused_where_it_is_written(given):
    """The error says what Join takes and what it was given."""
    with pytest.raises(TypeError, match=r"Join takes the task of a saga.*was given"):
        Join(given)
