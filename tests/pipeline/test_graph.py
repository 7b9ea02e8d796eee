"""The graph compiler: order, edges, cycles, and size."""

import pickle
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milo_pipeline import CycleError, Phase, Pipeline
from milo_pipeline.graph import compile_graph


def nothing():
    return None


def phases_of(edges):
    return [Phase(name, nothing, depends_on=list(needs)) for name, needs in edges.items()]


@st.composite
def random_edges(draw):
    """An acyclic graph under shuffled names, declared in any order."""
    count = draw(st.integers(0, 12))
    names = draw(st.permutations([f"n{i}" for i in range(count)]))
    edges = {
        name: draw(st.lists(st.sampled_from(names[:i]), unique=True)) if i else []
        for i, name in enumerate(names)
    }
    return {name: edges[name] for name in draw(st.permutations(names))}


def level(edges, name):
    return 1 + max((level(edges, needed) for needed in edges[name]), default=0)


@given(random_edges())
def test_execution_order_is_by_level_and_then_by_name(edges):
    """For any graph: every phase after all it depends on, names sorted within a level."""
    order = Pipeline("p", *phases_of(edges)).execution_order()
    assert order == sorted(edges, key=lambda name: (level(edges, name), name))


@given(random_edges(), st.randoms(use_true_random=False))
def test_execution_order_does_not_depend_on_declaration(edges, random):
    """The same graph declared in another order runs in the same order."""
    phases = phases_of(edges)
    order = Pipeline("p", *phases).execution_order()
    random.shuffle(phases)
    assert Pipeline("p", *phases).execution_order() == order


@given(random_edges())
def test_the_plan_says_the_same_in_all_its_tables(edges):
    """Index, edges both ways, counts and ranks describe one graph."""
    plan = compile_graph(phases_of(edges))
    for name, i in plan.index.items():
        assert plan.phases[i].name == name
        assert [plan.phases[j].name for j in plan.dependencies[i]] == edges[name]
        assert plan.dependency_count[i] == len(edges[name])
        assert plan.order[plan.rank[i]] == i
    forwards = {(j, i) for i, needed in enumerate(plan.dependencies) for j in needed}
    backwards = {(j, i) for j, waiting in enumerate(plan.dependents) for i in waiting}
    assert forwards == backwards


@given(random_edges(), st.data())
def test_any_cycle_is_found_and_shown(edges, data):
    """A backward edge in any graph is refused with a path along real dependencies."""
    if not edges:
        return
    order = compile_graph(phases_of(edges)).order
    names = [list(edges)[i] for i in order]
    last = data.draw(st.sampled_from(names))
    above = {last}
    for name in reversed(names):
        if any(name in edges[one] for one in above):
            above.add(name)
    first = data.draw(st.sampled_from(sorted(above)))
    edges[first] = [*edges[first], last]
    with pytest.raises(CycleError) as refusal:
        Pipeline("p", *phases_of(edges))
    path = refusal.value.path
    assert path[0] == path[-1] == min(path)
    assert len(set(path)) == len(path) - 1
    assert all(before in edges[after] for before, after in pairwise(path))
    assert str(refusal.value).startswith(" → ".join(path))


@pytest.mark.parametrize(
    ("edges", "path"),
    [
        ({"a": "a"}, "a → a"),
        ({"b": "a", "a": "b"}, "a → b → a"),
        ({"x": "", "c": "b", "a": "c", "b": "a", "y": "a"}, "a → b → c → a"),
    ],
)
def test_a_cycle_reads_in_the_order_of_execution(edges, path):
    """The path starts at its first name, each phase before the one that waits for it."""
    with pytest.raises(CycleError, match=f"^{path} is a cycle; take one"):
        Pipeline("p", *phases_of(edges))


def test_a_cycle_error_survives_a_process_boundary():
    """A pickled CycleError comes back with its path and message."""
    error = CycleError(("a", "b", "a"))
    again = pickle.loads(pickle.dumps(error))
    assert (again.path, str(again)) == (error.path, str(error))


@pytest.mark.parametrize("step", [1, -1], ids=["in order", "against the order"])
def test_a_chain_of_ten_thousand_phases_compiles(step):
    """Depth is no recursion: a chain of 10,000 compiles, whichever way it is declared."""
    names = [f"n{i:05}" for i in range(10_000)]
    chain = [
        Phase(name, nothing, depends_on=names[i - 1 : i] if i else ())
        for i, name in enumerate(names)
    ]
    assert Pipeline("p", *chain[::step]).execution_order() == names


def test_a_cycle_of_ten_thousand_phases_is_refused():
    """A cycle through 10,000 phases is found without recursion and shown whole."""
    names = [f"n{i:05}" for i in range(10_000)]
    ring = [Phase(name, nothing, depends_on=(names[i - 1],)) for i, name in enumerate(names)]
    with pytest.raises(CycleError) as refusal:
        Pipeline("p", *ring)
    assert list(refusal.value.path) == [*names, names[0]]
