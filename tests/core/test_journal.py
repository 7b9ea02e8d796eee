"""The journal: what open marks see, and what is kept for them and no longer."""

import gc
import weakref

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from milo_core import Action, Store
from milo_core.journal import Journal, Mark


class Payload:
    """What an action carries, so that a weak reference tells whether it is kept."""


def commit(journal, action, mark=None):
    """Pass an action on as a store does: only where the journal does not expect it."""
    if mark is not journal.expects:
        journal.note(action, mark)


def seen(mark):
    """The actions behind an open mark, in order."""
    node, actions = mark.node, []
    while (following := node[1]) is not None:
        actions.append(node[0])
        node = following
    return actions


def opened(journal, count=1):
    """Marks opened one after the other behind what was dispatched so far."""
    marks = [Mark() for _ in range(count)]
    for mark in marks:
        journal.open(mark)
    return marks


# What a mark sees


def test_a_mark_sees_what_follows_its_action():
    """Neither what came before nor the action itself, and everything after it in order."""
    journal, mark = Journal(), Mark()
    actions = [Action(name) for name in ("BEFORE", "OWN", "ONE", "TWO")]
    for action in actions:
        commit(journal, action, mark if action.type == "OWN" else None)
    assert seen(mark) == actions[2:]


def test_marks_see_each_others_actions():
    """What was put with a later mark is there for the earlier ones, and not the other way."""
    journal, marks = Journal(), [Mark() for _ in range(3)]
    actions = [Action("PUT", number) for number in range(3)]
    for action, mark in zip(actions, marks, strict=True):
        commit(journal, action, mark)
    assert [seen(mark) for mark in marks] == [actions[1:], actions[2:], []]


@pytest.mark.parametrize("others", [0, 1, 2])
def test_a_mark_that_is_put_again_starts_afresh(others):
    """It leaves its first place, alone or among others, with something behind it or not."""
    journal, mark = Journal(), Mark()
    opened(journal, others)
    for between in ([], [Action("A")], [Action("B"), Action("C")], []):
        commit(journal, Action("PUT"), mark)
        assert seen(mark) == []
        for action in between:
            commit(journal, action)
        assert seen(mark) == between


@pytest.mark.parametrize("kept_open", [True, False])
def test_a_mark_can_be_opened_where_another_stands(kept_open):
    """It sees what that one sees, also after that one is closed."""
    journal, first, second = Journal(), Mark(), Mark()
    commit(journal, Action("PUT"), first)
    one, two = Action("ONE"), Action("TWO")
    commit(journal, one)
    journal.open(second, first.node)
    if not kept_open:
        first.node = None
    commit(journal, two)
    assert seen(second) == [one, two]
    assert first.node is None or seen(first) == [one, two]


def test_an_open_mark_can_be_opened_anew():
    """It stands behind what has been dispatched meanwhile."""
    journal, mark = Journal(), Mark()
    commit(journal, Action("PUT"), mark)
    commit(journal, Action("ONE"))
    journal.open(mark)
    commit(journal, Action("TWO"))
    assert seen(mark) == [Action("TWO")]


@pytest.mark.parametrize("closed", range(4))
def test_closing_one_mark_leaves_the_others(closed):
    """They go on seeing everything, whichever of them is closed."""
    journal = Journal()
    marks = opened(journal, 4)
    first, second = Action("FIRST"), Action("SECOND")
    commit(journal, first)
    marks.pop(closed).node = None
    commit(journal, second)
    assert [seen(mark) for mark in marks] == [[first, second]] * 3


def test_a_mark_closed_just_before_another_is_opened_there():
    """Who comes too late to stand where it stood sees what comes from now on."""
    journal, first, second = Journal(), Mark(), Mark()
    commit(journal, Action("PUT"), first)
    place, first.node = first.node, None
    commit(journal, Action("UNSEEN"))
    journal.open(second, place)
    commit(journal, Action("ONE"))
    assert seen(second) == [Action("ONE")]


# What is kept


def test_nothing_is_linked_while_no_mark_is_open():
    """An action without a mark needs no note, before the first mark and after the last."""
    journal, mark = Journal(), Mark()
    assert journal.expects is None
    commit(journal, Action("PUT"), mark)
    mark.node = None
    commit(journal, Action("NEXT"))
    assert journal.expects is None


@pytest.mark.parametrize("others", [0, 1, 2])
def test_a_lone_mark_needs_no_note(others):
    """Put or opened again and again, alone or once the others are closed, it is expected."""
    journal, mark = Journal(), Mark()
    marks = opened(journal, others)
    commit(journal, Action("PUT"), mark)
    commit(journal, Action("NEXT"))
    assert journal.expects is not mark
    for each in marks:
        each.node = None
    for _ in range(others + 1):
        journal.open(mark)
    for _ in range(2):
        assert journal.expects is mark
        journal.open(mark)
    assert journal.expects is mark
    payload = watch(journal, 1, mark)
    assert (journal.expects, payload[0]()) == (mark, None)
    watch(journal, 1)
    payload = watch(journal, 1, mark)
    assert (journal.expects, payload[0]()) == (mark, None)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_closed_marks_keep_nothing(count):
    """When all marks are closed, what they saw goes with as many actions as there were marks."""
    journal = Journal()
    marks = opened(journal, count)
    watched = watch(journal, 10)
    assert all(each() is not None for each in watched)
    for mark in marks:
        mark.node = None
    for _ in range(count):
        watched += watch(journal, 1)
    commit(journal, Action("LAST"))
    gc.collect()
    assert [each() for each in watched] == [None] * (10 + count)
    assert journal.expects is None


def watch(journal, count, mark=None):
    """Weak references to the payloads of ``count`` actions, dispatched and forgotten."""
    payloads = [Payload() for _ in range(count)]
    for payload in payloads:
        commit(journal, Action("PASSING", payload), mark)
    return [weakref.ref(payload) for payload in payloads]


def test_a_lone_mark_that_is_closed_keeps_only_the_last_action():
    """And that only until the next one: a store at rest holds no chain of actions."""
    journal, mark = Journal(), Mark()
    commit(journal, Action("PUT"), mark)
    watched = watch(journal, 10)
    mark.node = None
    gc.collect()
    assert [each() for each in watched[:-1]] == [None] * 9
    commit(journal, Action("NEXT"))
    assert watched[-1]() is None


def test_what_is_before_the_oldest_mark_is_not_kept():
    """Once the oldest is closed, actions that only it could see are gone, but for the last."""
    journal, oldest, youngest = Journal(), Mark(), Mark()
    commit(journal, Action("PUT"), oldest)
    watched = watch(journal, 10)
    commit(journal, Action("PUT"), youngest)
    oldest.node = None
    gc.collect()
    assert [each() for each in watched] == [None] * 10
    assert seen(youngest) == []


def test_closed_marks_themselves_are_not_kept():
    """A thousand puts by as many sagas leave no thousand marks behind."""

    class Watched(Mark):
        __slots__ = ("__weakref__",)

    journal, gone = Journal(), []
    for _ in range(1000):
        mark = Watched()
        gone.append(weakref.ref(mark))
        commit(journal, Action("PUT"), mark)
        mark.node = None
        del mark
    gc.collect()
    assert sum(each() is not None for each in gone) <= 2
    commit(journal, Action("NEXT"))
    assert [each for each in gone if each() is not None] == []


class CountedMark(Mark):
    """A mark that counts in ``looks`` how often it and its like are looked at."""

    looks = 0

    @property
    def node(self):
        CountedMark.looks += 1
        return self.place

    @node.setter
    def node(self, place):
        self.place = place


@pytest.fixture
def looks(monkeypatch):
    """``looks()``: how often any ``CountedMark`` was looked at since the test began."""
    monkeypatch.setattr(CountedMark, "looks", 0)
    return lambda: CountedMark.looks


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_many_open_marks_make_no_dispatch_slower(looks, count):
    """Marks are looked at a few times each, not once for every action there is."""
    journal = Journal()
    marks = [CountedMark() for _ in range(count)]
    for mark in marks:
        journal.open(mark)
    for number in range(count):
        commit(journal, Action("PASSING", number))
    for mark in marks:
        commit(journal, Action("PUT"), mark)
        mark.node = None
    assert looks() <= 8 * count


def test_open_marks_are_looked_at_once_in_as_many_notes(looks):
    """Ten that stay open are all looked at with every tenth action."""
    journal = Journal()
    marks = [CountedMark() for _ in range(10)]
    for mark in marks:
        journal.open(mark)
    before = looks()
    while looks() == before:
        commit(journal, Action("PASSING"))
    before = looks()
    for _ in range(100):
        commit(journal, Action("PASSING"))
    assert looks() - before == 100


# Any history


class JournalMachine(RuleBasedStateMachine):
    """A journal beside a list of all actions, in which an open mark is an index."""

    marks = Bundle("marks")

    def __init__(self):
        super().__init__()
        self.journal = Journal()
        self.dispatched = []
        self.watched = []
        self.places = {}
        self.most = 0
        """The most marks that were ever open."""

    def commit(self, mark=None):
        action = Action(f"A{len(self.dispatched)}", Payload())
        self.dispatched.append(action.type)
        self.watched.append(weakref.ref(action.payload))
        commit(self.journal, action, mark)

    @rule(count=st.integers(1, 4))
    def dispatch(self, count):
        for _ in range(count):
            self.commit()

    @rule(target=marks)
    def put(self):
        mark = Mark()
        self.put_again(mark)
        return mark

    @rule(mark=marks)
    def put_again(self, mark):
        self.commit(mark)
        self.stand(mark, len(self.dispatched))

    @rule(target=marks)
    def open(self):
        mark = Mark()
        self.open_again(mark)
        return mark

    @rule(mark=marks)
    def open_again(self, mark):
        self.journal.open(mark)
        self.stand(mark, len(self.dispatched))

    @rule(target=marks, other=marks)
    def open_where_another_stands(self, other):
        mark = Mark()
        self.journal.open(mark, other.node)
        self.stand(mark, self.places[other])
        return mark

    @rule(mark=consumes(marks))
    def close(self, mark):
        mark.node = None
        del self.places[mark]

    def stand(self, mark, place):
        self.places[mark] = place
        self.most = max(self.most, len(self.places))

    @precondition(lambda self: not self.places)
    @rule()
    def come_to_rest(self):
        """With no mark open, as many actions as there were marks end all keeping."""
        for _ in range(self.most + 1):
            self.commit()
        assert self.journal.expects is None
        assert [each for each in self.watched if each() is not None] == []

    @invariant()
    def every_open_mark_sees_what_followed(self):
        for mark, place in self.places.items():
            assert [action.type for action in seen(mark)] == self.dispatched[place:]

    @invariant()
    def nothing_else_is_kept(self):
        """But for the last action, and the one that the oldest open mark stands behind."""
        oldest = min(self.places.values(), default=len(self.dispatched))
        assert [each for each in self.watched[: max(0, oldest - 1)] if each() is not None] == []


def test_any_history_of_marks():
    """Opened, put, put again, closed in any order: each sees what came since, and no one else."""
    run_state_machine_as_test(
        JournalMachine, settings=settings(max_examples=150, stateful_step_count=40)
    )


# In a store, from many threads


def test_marks_closed_while_others_dispatch(fake_runtime, together):
    """Eight threads that put, look and close: each sees its own actions and no gap in others'."""
    for _ in range(20):
        store = Store(lambda state, action: state, None, runtime=fake_runtime)
        store.run_saga("s")
        host = fake_runtime.host
        del fake_runtime.actions[:]
        found = []

        def work(name, host=host, store=store, found=found):
            for number in range(20):
                mark = Mark()
                host.put(Action("PUT", (name, number)), mark)
                for part in range(number % 4):
                    store.dispatch(Action("PART", (name, number, part)))
                found.append(((name, number), seen(mark)))
                mark.node = None

        together(*[lambda name=name: work(name) for name in "abcdefgh"])
        order = fake_runtime.actions
        for payload, actions in found:
            start = order.index(Action("PUT", payload)) + 1
            assert actions == order[start : start + len(actions)]
            own = [each.payload for each in actions if each.payload[0] == payload[0]]
            assert own == [(*payload, part) for part in range(payload[1] % 4)]
        for _ in range(10):
            store.dispatch(Action("LAST"))
        assert host.journal.expects is None
