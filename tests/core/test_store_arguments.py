"""What ``Store`` refuses to be made of, and what it says."""

import math

import pytest

from milo_core import Store


def keep(state, action):
    return state


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"reducer": 5}, TypeError, r"reducer must be a function of \(state, action\), .* 5"),
        ({"reducer": None}, TypeError, "reducer must be a function"),
        (
            {"middleware": keep},
            TypeError,
            r"middleware takes a tuple, .*write middleware=\(keep,\)",
        ),
        ({"middleware": 5}, TypeError, "middleware takes a tuple"),
        ({"middleware": (5,)}, TypeError, r"middleware must be a function .* was given 5"),
        ({"middleware": (keep, None)}, TypeError, "middleware must be a function"),
        (
            {"middleware": (lambda n, g: None,)},
            TypeError,
            r"must return .*dispatch.* returned None",
        ),
        ({"record": None}, TypeError, "record takes True, False or a path, was given None"),
        ({"record": 1}, TypeError, "record takes True, False or a path, was given 1"),
        ({"record": ""}, TypeError, "record takes True, False or a path, was given ''"),
        ({"max_workers": 0}, ValueError, "max_workers must be at least 1 or None, was given 0"),
        ({"max_workers": -3}, ValueError, "max_workers must be at least 1"),
        ({"max_workers": "4"}, TypeError, "max_workers takes an int or None, was given '4'"),
        ({"max_workers": 2.5}, TypeError, "max_workers takes an int or None, was given 2.5"),
        ({"pool_pressure_threshold": 0}, ValueError, "pool_pressure_threshold must be above 0"),
        ({"pool_pressure_threshold": math.nan}, ValueError, "pool_pressure_threshold must be"),
        ({"pool_pressure_threshold": "x"}, TypeError, "pool_pressure_threshold takes a number"),
        ({"on_pool_pressure": 5}, TypeError, r"on_pool_pressure must be a function .* given 5"),
        ({"runtime": 5}, TypeError, "runtime must be a function .* was given 5"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    """The error says which argument, what it takes, and what it was given."""
    with pytest.raises(error, match=message):
        Store(**{"reducer": keep, "initial_state": 0, **arguments})


def test_only_the_first_three_arguments_are_positional():
    """Reducer, state and middleware may be positional; the rest goes by name."""
    assert Store(keep, 1, ()).state == 1
    with pytest.raises(TypeError, match="positional argument"):
        Store(keep, 1, (), True)


def test_any_object_is_a_state():
    """``None``, functions and unhashable objects are states like any other."""
    for state in (None, keep, [], {"a": set()}, Store):
        assert Store(keep, state).state is state
