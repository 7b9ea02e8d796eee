"""Builders, definitions and names refuse what a saga could not run with."""

from dataclasses import FrozenInstanceError
from datetime import timedelta
from typing import Generic, TypeVar

import pytest
from saga_tools import Plain, Step, Word, chain, on, refuse

from milo_durable import (
    BaseStep,
    FixedRetry,
    SagaBuilder,
    SagaDataError,
    SagaDefinitionError,
    StepAwaitEvent,
    StepRef,
)
from milo_durable.steps import StepTypes


def first(ctx):
    return Word(word="go")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"step": Plain}, "make one: Plain"),
        ({"step": None}, "must be a BaseStep"),
        ({"input_map": None}, "input_map must be a function"),
        ({"step_id": ""}, "step_id"),
        ({"step_id": 'a"b'}, "step_id"),
        ({"step_id": "a b"}, "step_id"),
        ({"step_id": 5}, "step_id"),
        ({"step_id": "taken"}, "two steps"),
        ({"timeout": 5}, "timeout must be a timedelta"),
        ({"timeout": timedelta(0)}, "timeout must be a timedelta"),
        ({"timeout": timedelta.max}, "and of at most 36500 days"),
        ({"depends_on": "taken"}, "depends_on takes"),
        ({"depends_on": 0}, "depends_on takes"),
        ({"depends_on": [None]}, "depends_on takes"),
        ({"depends_on": StepRef("later", 7)}, "another builder"),
        ({"retry_policy": 3}, "retry_policy must"),
        ({"retry_policy": FixedRetry}, "retry_policy must"),
    ],
)
def test_a_step_that_cannot_be_meant(given, message):
    """add_step names the argument that is wrong, and the builder goes on without the step."""
    builder = SagaBuilder()
    builder.add_step(Plain(), first, step_id="taken")
    with pytest.raises(SagaDefinitionError, match=message):
        builder.add_step(**{"step": Plain(), "input_map": first, **given})
    assert len(builder.build().steps) == 1


def test_a_reference_of_another_builder():
    """A reference is good for its own builder, also where the other looks the same."""
    ref = SagaBuilder().add_step(Plain(), first)
    builder = SagaBuilder()
    own = builder.add_step(Plain(), first)
    assert own == ref
    with pytest.raises(SagaDefinitionError, match="another builder"):
        builder.add_step(Plain(), lambda out: out, ref)
    builder.add_step(Plain(), lambda out: out, own)


def test_no_step_depends_on_a_later_one():
    """References are of steps before, so there is no cycle to be written."""
    builder = SagaBuilder()
    refs = [builder.add_step(Plain(), first)]
    for _ in range(3):
        refs.append(builder.add_step(Plain(), lambda *outs: outs[0], refs))
    for index, step in enumerate(builder.build().steps):
        assert all(before < index for before in step.depends_on)


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None])
def test_a_version_that_is_none(version):
    """A version is a whole number from 1."""
    with pytest.raises(SagaDefinitionError, match="version must be"):
        chain(Plain(), version=version)


def test_a_saga_without_steps():
    """There is no saga without a step."""
    with pytest.raises(SagaDefinitionError, match="at least one step"):
        SagaBuilder().build()


def test_a_definition_stays_as_it_is():
    """Nothing of a definition can be set, and its builder does not change it."""
    builder = SagaBuilder()
    builder.add_step(Plain(), first)
    definition = builder.build()
    builder.add_step(Plain(), first)
    assert len(definition.steps) == 1
    with pytest.raises(FrozenInstanceError):
        definition.version = 2
    with pytest.raises(FrozenInstanceError):
        definition.steps[0].step_id = "x"


@pytest.mark.parametrize("name", ["", " ", None, 5, "x" * 256, "a\0"])
def test_a_name_that_is_none(database, name):
    """A saga's name is a text of 1 to 255 characters."""

    async def scenario(bench):
        with pytest.raises((SagaDefinitionError, SagaDataError), match="the name of a saga"):
            bench.orchestrator.register(name, chain(Plain()))

    on(database, scenario)


def test_registering_twice(database):
    """A name has each version once, and what is registered is a definition."""

    async def scenario(bench):
        register = bench.orchestrator.register
        register("saga", chain(Plain()))
        register("saga", chain(Plain(), version=2))
        with pytest.raises(SagaDefinitionError, match="version 1 of saga 'saga'"):
            register("saga", chain(Plain()))
        with pytest.raises(SagaDefinitionError, match="build"):
            register("other", SagaBuilder())

    on(database, scenario)


class NotForPydantic:
    """A type of which Pydantic knows nothing."""


def test_types_that_cannot_be_stored():
    """A step whose types Pydantic does not know is refused when it is added."""

    class Odd(BaseStep[NotForPydantic, Word]):
        async def execute(self, inp):
            return Word(word="")

    class Unnamed(BaseStep):
        async def execute(self, inp: "Nowhere") -> Word:  # noqa: F821  # that is the point
            return Word(word="")

    for step in (Odd(), Unnamed()):
        with pytest.raises(SagaDefinitionError, match="types that Pydantic knows"):
            SagaBuilder().add_step(step, first)


Kind = TypeVar("Kind")


class Echo(BaseStep[Kind, Kind], Generic[Kind]):
    """A step for steps of several types."""

    async def execute(self, inp: Kind) -> Kind:
        return inp

    async def compensate(self, inp: Kind, out: Kind) -> None:
        SEEN.append((inp, out))


class EchoWord(Echo[Word]):
    """Such a step of one type."""


class Deeper(EchoWord):
    """And a class below that."""


SEEN = []


@pytest.mark.parametrize("step", [EchoWord(), Deeper()])
def test_the_types_of_a_generic_step(database, step):
    """A step gets its types also through generic classes between it and BaseStep."""
    SEEN.clear()

    async def scenario(bench):
        await bench.begin(chain(step, Step("b", [], refuse)))
        assert [(Word(word="go"), Word(word="go"))] == SEEN

    on(database, scenario)


def test_the_wait_is_no_output():
    """StepAwaitEvent among the types of a step is no output that could be stored."""

    class Named(BaseStep[Word, Word | StepAwaitEvent]):
        async def execute(self, inp: Word) -> Word | StepAwaitEvent:
            return StepAwaitEvent()

    with pytest.raises(SagaDataError):
        StepTypes(Named()).output_to_json({})


def test_several_dependencies(database):
    """An input_map gets one output for each dependency, in the order they were named."""
    seen = []

    def both(*outs):
        seen.append([each.word for each in outs])
        return Word(word="both")

    async def scenario(bench):
        builder = SagaBuilder()
        one = builder.add_step(Step("1", []), first)
        two = builder.add_step(Step("2", []), lambda out: out, one)
        builder.add_step(Plain(), both, [two, one])
        assert await bench.status(await bench.begin(builder.build())) == "COMPLETED"
        assert seen == [["go>1>2", "go>1"]]

    on(database, scenario)
