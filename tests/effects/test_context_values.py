"""SetContext and GetContext: values that a saga hands down to those it starts."""

import pytest

from milo_core import Action
from milo_effects import (
    All,
    Call,
    Debounce,
    EffectError,
    Fork,
    GetContext,
    Join,
    Limit,
    Put,
    Race,
    SagaCancelled,
    Semaphore,
    SetContext,
    Supervise,
    Take,
    TakeEvery,
    TakeLatest,
    TakeLeading,
    Throttle,
    Timeout,
)


def get(name="db", default="unset"):
    return (yield GetContext(name, default))


def test_what_was_set_is_sent_back(new_store, run):
    """A later value replaces the earlier one of its name, and only that."""
    store = new_store()

    def saga():
        sent = yield SetContext({"db": 1, "user": "ann"})
        yield SetContext({"db": 2})
        yield SetContext({})
        return sent, (yield GetContext("db")), (yield GetContext("user"))

    assert run(store, saga()) == (None, 2, "ann")


@pytest.mark.parametrize("known", [{}, {"user": None, "cache": 1}])
def test_a_missing_name_throws_an_error_that_lists_what_is_set(new_store, run, known):
    """It can be caught as a ``LookupError``, and says what to do."""
    store = new_store()

    def saga():
        yield SetContext(known)
        try:
            yield GetContext("db")
        except LookupError as error:
            return error

    error = run(store, saga())
    assert isinstance(error, EffectError)
    assert error.name == "db"
    assert sorted(error.known) == sorted(known)
    assert "no value 'db'" in str(error)
    assert ("set here or above: " + ("cache, user" if known else "nothing")) in str(error)


@pytest.mark.parametrize("default", [None, 5])
def test_a_default_stands_for_a_missing_name_only(new_store, run, default):
    """``None`` is a default, too; and a value that was set, even ``None``, comes first."""
    store = new_store()

    def saga():
        missing = yield GetContext("db", default)
        yield SetContext({"db": None})
        return missing, (yield GetContext("db", default=7))

    assert run(store, saga()) == (default, None)


@pytest.mark.parametrize("attached", [False, True])
def test_forks_inherit_what_was_set_before(new_store, park, ended, attached):
    """What is set afterwards, above or below, stays where it was set."""
    store = new_store()

    def child():
        yield Take("GO")
        inherited = yield GetContext("db")
        yield SetContext({"db": "child's"})
        return inherited, (yield GetContext("db"))

    def saga():
        yield SetContext({"db": "first"})
        task = yield Fork(child, attached=attached)
        yield SetContext({"db": "second"})
        return (yield Join(task)), (yield GetContext("db"))

    task = park(store, saga())
    store.dispatch(Action("GO"))
    assert ended(task) == (("first", "child's"), "second")


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (All((get(), SetContext({"db": 0}), GetContext("db"))), (1, None, 1)),
        (Race((get(),)), 1),
        (Timeout(GetContext("db"), 60), 1),
        (Supervise(get), 1),
        (Limit(Semaphore(1), get()), 1),
        (All((All((get(),)),)), ((1,),)),
    ],
)
def test_children_inherit(new_store, run, effect, expected):
    """What runs in the saga's place reads its values, and sets none for it."""
    store = new_store()

    def saga():
        yield SetContext({"db": 1})
        sent = yield effect
        return sent, (yield GetContext("db"))

    assert run(store, saga()) == (expected, 1)


@pytest.mark.parametrize("kind", [TakeEvery, TakeLatest, TakeLeading])
def test_what_watchers_start_inherits(new_store, park, settle, seen, kind):
    """Each saga begins with the watcher's values, whatever the one before has set."""
    store = new_store()

    def handle(action):
        yield Put(Action("GOT", (yield GetContext("db"))))
        yield SetContext({"db": 2})

    def watch():
        yield SetContext({"db": 1})
        yield kind("GO", handle)

    park(store, watch())
    for _ in range(2):
        store.dispatch(Action("GO"))
        settle(store)
    assert seen(store, "GOT") == [1, 1]


def test_what_is_throttled_inherits(new_store, park, seen, ended):
    """Both the saga that starts at once and the one that starts by the clock."""
    store = new_store(max_workers=1)

    def handle(action):
        yield Put(Action("GOT", (action.payload, (yield GetContext("db")))))

    def watch():
        yield SetContext({"db": 1})
        yield Throttle(0.0001, "GO", handle)

    def wait_for_the_second():
        yield Take(lambda action: action.type == "GOT" and action.payload[0] == 1)

    park(store, watch())
    waiting = park(store, wait_for_the_second())
    for n in range(2):
        store.dispatch(Action("GO", n))
    assert ended(waiting) is None
    assert seen(store, "GOT") == [(0, 1), (1, 1)]


def test_what_is_debounced_has_the_values_of_that_time(new_store, run, gate):
    """Those of the last ``Debounce``, not of the moment when the saga starts."""
    store, saved, got = new_store(max_workers=2), gate(), []

    def save():
        got.append((yield GetContext("db")))
        saved.set()

    def saga():
        for n in range(3):
            yield SetContext({"db": n})
            yield Debounce(0 if n == 2 else 60, save)
        yield SetContext({"db": "later"})
        yield Call(saved.pass_through)

    run(store, saga())
    assert got == [2]


def test_sagas_of_their_own_begin_with_nothing(new_store, run):
    """Values go from saga to saga, never through the store."""
    store = new_store()

    def saga():
        yield SetContext({"db": 1})

    run(store, saga())
    assert run(store, get()) == "unset"


def test_values_are_there_in_the_cleanup(new_store, park, ended):
    """A cancelled saga, and what it starts to clean up, still have them."""
    store, got = new_store(), []

    def saga():
        yield SetContext({"db": 1})
        try:
            yield Take("NEVER")
        finally:
            got.append((yield GetContext("db")))
            got.append((yield Timeout(get(), 60)))

    task = park(store, saga())
    task.cancel()
    assert ended(task) is SagaCancelled
    assert got == [1, 1]


def test_changing_the_mapping_afterwards_changes_nothing(new_store, run):
    """The values are those at the time of the ``yield``."""
    store, values = new_store(), {"db": 1}

    def saga():
        yield SetContext(values)
        values["db"] = 2
        return (yield GetContext("db"))

    assert run(store, saga()) == 1


@pytest.mark.parametrize("made", [lambda: SetContext(5), lambda: SetContext([("db", 1)])])
def test_values_that_are_no_mapping_are_refused(made):
    """The error shows how to write it."""
    with pytest.raises(TypeError, match=r"SetContext takes a mapping .* SetContext\(\{'name'"):
        made()


@pytest.mark.parametrize("made", [lambda: SetContext({5: 1}), lambda: GetContext(5)])
def test_names_that_are_no_strings_are_refused(made):
    """Both effects say what they were given."""
    with pytest.raises(TypeError, match="takes names that are strings, was given 5"):
        made()
