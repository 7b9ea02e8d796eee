"""Limit runs things in the places of a Semaphore."""

import gc
import itertools
import random
import threading
import weakref
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milo_core import Action, StateError
from milo_effects import (
    All,
    Call,
    ChildCancelledError,
    Delay,
    Fork,
    Limit,
    Put,
    Race,
    SagaCancelled,
    Semaphore,
    Take,
    Timeout,
)


def one(effect):
    return (yield effect)


class Crowd:
    """Counts who is inside at the same time, and remembers the order of coming in."""

    def __init__(self):
        self.lock = threading.Lock()
        self.order = []
        self.inside = 0
        self.most = 0

    def visit(self, n, stay):
        with self.lock:
            self.order.append(n)
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            yield stay
        finally:
            with self.lock:
                self.inside -= 1
        return n


@pytest.mark.parametrize(
    ("effect", "value"),
    [
        (Call(lambda: 7), 7),
        (Delay(0), None),
        (lambda: one(Call(int)), 0),
        (All({"a": Delay(0)}), {"a": None}),
        (Limit(Semaphore(1), Call(lambda: 8)), 8),
    ],
)
def test_the_result_is_sent_back_and_the_place_given_back(new_store, run, left, effect, value):
    """Any effect or saga runs as it would without the limit; who goes on finds the place free."""
    store, semaphore = new_store(), Semaphore(1)

    def saga():
        value = yield Limit(semaphore, effect)
        return value, semaphore.free

    assert run(store, saga()) == (value, 1)
    assert left(store) == {}


def test_a_generator_can_be_limited_too(new_store, run):
    """A saga that is a generator already runs like a function that makes one."""
    assert run(new_store(), one(Limit(Semaphore(1), one(Call(int))))) == 0


def test_errors_are_thrown_as_they_are_and_the_place_is_given_back(new_store, run, reports):
    """A failure can be caught at the yield and is not reported besides."""
    store, semaphore = new_store(), Semaphore(1)

    def saga():
        with pytest.raises(ZeroDivisionError):
            yield Limit(semaphore, Call(divmod, (1, 0)))
        return semaphore.free

    assert run(store, saga()) == 1
    assert reports(store) == []


@pytest.mark.parametrize("places", [1, 3])
def test_places_are_given_first_come_first_served(new_store, park, settle, all_ended, places):
    """At most so many are inside; as one leaves, who has waited longest comes in."""
    store, semaphore, crowd = new_store(), Semaphore(places), Crowd()
    tasks = [
        park(store, one(Limit(semaphore, crowd.visit(n, Take(f"LEAVE {n}"))))) for n in range(6)
    ]
    assert crowd.order == list(range(places))
    assert (semaphore.free, semaphore.waiting) == (0, 6 - places)
    for n in range(6):
        store.dispatch(Action(f"LEAVE {n}"))
        settle(store)
        assert crowd.order == list(range(min(6, places + n + 1)))
    assert [task.result(60) for task in tasks] == list(range(6))
    assert crowd.most == places
    assert (semaphore.free, semaphore.waiting) == (places, 0)


def test_waiting_holds_no_worker(new_store, park, run):
    """With a thousand in the queue the only worker serves others."""
    store, semaphore = new_store(max_workers=1), Semaphore(1)
    for _ in range(1000):
        store.run_saga(one(Limit(semaphore, Take("NEVER"))))
    assert run(store, one(Delay(0))) is None
    assert store.pool_active == 0
    assert semaphore.waiting == 999


def test_stores_can_share_the_places(new_store, park, settle, hangs):
    """A place that is given back in one store lets a saga of the other one in."""
    first, second, semaphore = new_store(), new_store(), Semaphore(1)
    holder = park(first, one(Limit(semaphore, Take("LEAVE"))))
    waiter = park(second, one(Limit(semaphore, Call(lambda: "in"))))
    assert not waiter.done()
    first.dispatch(Action("LEAVE"))
    assert holder.result(hangs) == Action("LEAVE")
    assert waiter.result(hangs) == "in"
    assert semaphore.free == 1


# Cancelling and running out of time


def test_cancelled_in_the_queue_it_leaves_it(new_store, park, settle, ended, left, reports):
    """It never runs, and those behind it move up."""
    store, semaphore, crowd = new_store(), Semaphore(1), Crowd()
    tasks = [
        park(store, one(Limit(semaphore, crowd.visit(n, Take(f"LEAVE {n}"))))) for n in range(3)
    ]
    tasks[1].cancel()
    assert ended(tasks[1]) is SagaCancelled
    assert semaphore.waiting == 1
    for n in (0, 2):
        store.dispatch(Action(f"LEAVE {n}"))
        assert ended(tasks[n]) == n
        settle(store)
    assert crowd.order == [0, 2]
    assert semaphore.free == 1
    assert reports(store) == [("@@SAGA_CANCELLED",)]
    assert left(store) == {}


def test_cancelled_inside_it_keeps_its_place_until_it_has_cleaned_up(new_store, park, ended, left):
    """The next comes in, and the saga itself goes on, when the cleanup is over."""
    store, semaphore, order = new_store(), Semaphore(1), []

    def holder():
        try:
            yield Take("NEVER")
        finally:
            yield Delay(0)
            order.append("cleaned")

    def saga():
        try:
            yield Limit(semaphore, holder)
        finally:
            order.append("went on")

    first = park(store, saga())
    second = park(store, one(Limit(semaphore, Call(order.append, ("next",)))))
    first.cancel()
    assert ended(first) is SagaCancelled
    assert ended(second) is None
    assert order[0] == "cleaned"
    assert sorted(order[1:]) == ["next", "went on"]
    assert semaphore.free == 1
    assert left(store) == {}


class HandOver(Semaphore):
    """Comes to a halt between giving a place to a waiter and telling it."""

    def __init__(self, given, go_on):
        super().__init__(1)
        self.given, self.go_on, self.late = given, go_on, {}

    def enter_in_turn(self, begin):
        def begin_late():
            self.given.set()
            self.go_on.pass_through()
            begin()

        self.late[begin] = begin_late
        super().enter_in_turn(begin_late)

    def give_up(self, begin):
        return super().give_up(self.late[begin])


def test_cancelled_while_it_is_handed_a_place_it_gives_it_back(
    new_store, park, ended, gate, left, settle
):
    """It has the place already, so it is started all the same, ends at once, and gives it back."""
    store, semaphore, crowd = new_store(max_workers=2), HandOver(gate(), gate()), Crowd()
    first = park(store, one(Limit(semaphore, Take("LEAVE"))))
    second = park(store, one(Limit(semaphore, crowd.visit(2, Take("NEVER")))))
    store.dispatch(Action("LEAVE"))
    semaphore.given.pass_through()
    second.cancel()
    semaphore.go_on.set()
    assert ended(second) is SagaCancelled
    assert ended(first) == Action("LEAVE")
    assert crowd.order in ([], [2])
    assert crowd.inside == 0
    assert (semaphore.free, semaphore.waiting) == (1, 0)
    assert left(store) == {}


def test_somebody_elses_cancellation_of_what_runs_is_an_error(new_store, park, ended):
    """The parent is told, and the place is free."""
    store, semaphore = new_store(), Semaphore(1)
    task = park(store, one(Limit(semaphore, Take("NEVER"))))
    (child,) = task._members
    child.cancel()
    assert ended(task) is ChildCancelledError
    assert semaphore.free == 1


def test_a_timeout_around_it_counts_the_waiting(new_store, park, run, left):
    """The saga leaves the queue when its time has run out."""
    store, semaphore = new_store(), Semaphore(1)
    holder = park(store, one(Limit(semaphore, Take("NEVER"))))

    def saga():
        with pytest.raises(TimeoutError):
            yield Timeout(Limit(semaphore, Call(int)), 0.01)
        return "went on"

    assert run(store, saga()) == "went on"
    holder.cancel()
    assert left(store) == {}
    assert (semaphore.free, semaphore.waiting) == (1, 0)


@pytest.mark.parametrize(
    ("around", "held"),
    [
        (lambda semaphore, effect: Timeout(Limit(semaphore, effect), 0.01), True),
        (lambda semaphore, effect: Limit(semaphore, Timeout(effect, 0.01)), False),
    ],
)
def test_whether_an_expired_call_keeps_its_place_can_be_chosen(
    new_store, run, gate, all_ended, around, held
):
    """Inside ``Timeout`` the limit counts what still runs; around it, what is waited for."""
    store, semaphore, begun, leave = new_store(), Semaphore(1), gate(), gate()

    def block():
        begun.set()
        leave.pass_through()

    def saga():
        while not begun.is_set():
            with pytest.raises(TimeoutError):
                yield around(semaphore, Call(block))
        return semaphore.free

    assert run(store, saga()) == (0 if held else 1)
    leave.set()
    all_ended(store)
    assert semaphore.free == 1


def test_losers_of_a_race_leave_the_queue(new_store, park, run, left):
    """``Race`` over a ``Limit`` that has to wait, and loses."""
    store, semaphore = new_store(), Semaphore(1)
    holder = park(store, one(Limit(semaphore, Take("NEVER"))))
    race = Race({"in": Limit(semaphore, Call(int)), "late": Delay(0)})
    assert run(store, one(race)) == {"late": None}
    holder.cancel()
    assert left(store) == {}
    assert (semaphore.free, semaphore.waiting) == (1, 0)


def test_shutdown_empties_the_queue(new_store, park, ended):
    """All places are free for the other stores then."""
    store, semaphore = new_store(), Semaphore(2)
    tasks = [park(store, one(Limit(semaphore, Take("NEVER")))) for _ in range(5)]
    store.shutdown()
    assert {ended(each) for each in tasks} == {SagaCancelled}
    assert (semaphore.free, semaphore.waiting) == (2, 0)


# What a wait sees and keeps


@pytest.mark.parametrize("queued", [False, True])
def test_a_take_inside_sees_what_comes_once_it_has_a_place(new_store, park, settle, hangs, queued):
    """With a free place no reply is lost after a ``Put``; from the queue only later ones count."""
    store, semaphore = new_store(), Semaphore(1)

    def answer():
        yield Take("ASK")
        yield Put(Action("REPLY", "early"))

    def saga():
        yield Put(Action("ASK"))
        return (yield Limit(semaphore, Take("REPLY"))).payload

    if queued:
        park(store, one(Limit(semaphore, Take("LEAVE"))))
    park(store, answer())
    task = park(store, saga())
    if queued:
        store.dispatch(Action("LEAVE"))
        settle(store)
        assert not task.done()
        store.dispatch(Action("REPLY", "late"))
    assert task.result(hangs) == ("late" if queued else "early")


def test_what_left_the_queue_is_forgotten(new_store, park, ended):
    """The semaphore keeps nothing of a saga that gave up waiting."""
    store, semaphore = new_store(), Semaphore(1)

    class Big:
        def __call__(self):
            return one(Delay(0))

    big = Big()
    gone = weakref.ref(big)
    park(store, one(Limit(semaphore, Take("NEVER"))))
    task = park(store, one(Limit(semaphore, big)))
    task.cancel()
    assert ended(task) is SagaCancelled
    del task, big
    gc.collect()
    assert gone() is None


# Any interleaving


class Model:
    """A semaphore, and beside it two lists that say what it should do."""

    def __init__(self, places):
        self.semaphore = Semaphore(places)
        self.places, self.inside, self.queue, self.begun = places, [], [], []
        self.names = itertools.count()

    def enter_at_once(self, pick):
        has_room = len(self.inside) < self.places
        assert self.semaphore.enter_at_once() is has_room
        if has_room:
            self.inside.append(next(self.names))

    def enter_in_turn(self, pick):
        name = next(self.names)
        begin = partial(self.begun.append, name)
        self.semaphore.enter_in_turn(begin)
        if len(self.inside) < self.places:
            self.inside.append(name)
            assert self.begun[-1] == name
        else:
            self.queue.append((name, begin))

    def give_up(self, pick):
        if self.queue:
            _, begin = self.queue.pop(pick % len(self.queue))
            assert self.semaphore.give_up(begin)
            assert not self.semaphore.give_up(begin)

    def leave(self, pick):
        if self.inside:
            self.inside.pop(pick % len(self.inside))
            self.semaphore.leave()
            if self.queue:
                self.inside.append(self.queue.pop(0)[0])
                assert self.begun[-1] == self.inside[-1]


MOVES = st.sampled_from([Model.enter_at_once, Model.enter_in_turn, Model.give_up, Model.leave])


@given(places=st.integers(1, 3), moves=st.lists(st.tuples(MOVES, st.integers(0, 9))))
def test_a_semaphore_keeps_count(places, moves):
    """Entering, giving up and leaving in any order, it does what two lists would."""
    model = Model(places)
    for move, pick in moves:
        move(model, pick)
        assert model.semaphore.free == places - len(model.inside)
        assert model.semaphore.waiting == len(model.queue)


@pytest.mark.parametrize("seed", range(20))
def test_any_interleaving_of_cancels_leaves_every_place_free(
    new_store, seed, frantic, together, ended, all_ended, left
):
    """Sagas that return, fail, run out of time and are cancelled from two threads meanwhile."""
    store = new_store(lambda state, action: state, None, max_workers=3)
    chance = random.Random(seed)
    semaphore = Semaphore(chance.randint(1, 3))
    crowd = Crowd()
    stays = [Delay(0), Delay(0.0005), Call(int), Call(divmod, (1, 0)), Take("NEVER")]

    def limited(n):
        stay = chance.choice(stays)
        effect = Limit(semaphore, crowd.visit(n, stay))
        return Timeout(effect, 0.002) if stay == Take("NEVER") else effect

    def family(alone, crowded, limit):
        yield Fork(one(alone), attached=True)
        yield All(crowded, limit=limit)

    families = [
        family(limited(n), (limited(n + 1), limited(n + 2)), chance.randint(1, 2))
        for n in range(0, 90, 3)
    ]
    tasks = [store.run_saga(each) for each in families]
    victims = [chance.sample(tasks, 12) for _ in range(2)]
    together(*(lambda each=each: [task.cancel() for task in each] for each in victims))
    all_ended(store)
    assert crowd.inside == 0
    assert crowd.most <= semaphore.places
    assert (semaphore.free, semaphore.waiting) == (semaphore.places, 0)
    assert left(store) == {}


# Mistakes, and what it looks like


@pytest.mark.parametrize("places", [0, -1, 1.5, "2", None, True])
def test_an_impossible_number_of_places_is_refused(places):
    """The mistake shows at construction."""
    with pytest.raises(ValueError, match="takes a whole number of 1 or more"):
        Semaphore(places)


@pytest.mark.parametrize("wrong", [4, None, threading.Semaphore(4)])
def test_a_limit_without_a_semaphore_is_refused_where_it_is_written(wrong):
    """A number is a likely slip; the message says what to write."""
    with pytest.raises(TypeError, match=r"Limit takes a Semaphore, .* Semaphore\(4\)"):
        Limit(wrong, Delay(0))


@pytest.mark.parametrize("effect", [5, None, "text"])
def test_what_is_neither_effect_nor_saga_is_refused(new_store, run, effect):
    """The error can be caught at the yield, and takes no place."""
    semaphore = Semaphore(1)

    def saga():
        with pytest.raises(StateError, match="a saga is a generator"):
            yield Limit(semaphore, effect)
        return semaphore.free

    assert run(new_store(), saga()) == 1


def test_a_semaphore_prints_as_what_it_is():
    """How many places are free and how many wait."""
    semaphore = Semaphore(3)
    assert semaphore.enter_at_once()
    assert repr(semaphore) == "<Semaphore 2 of 3 free, 0 waiting>"
