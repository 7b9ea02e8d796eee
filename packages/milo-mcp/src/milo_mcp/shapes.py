"""What tools take and answer, as types of which clients get the JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from milo_pipeline import Param

_TYPES: Final = {str: "string", int: "integer", float: "number", bool: "boolean", Path: "path"}


Value: TypeAlias = str | int | float | bool | None
"""What a parameter can be, a path being text."""


class Shape(BaseModel):
    """A JSON object with these keys and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @classmethod
    def schema_of(cls) -> dict[str, Any]:
        """JSON Schema, without what is for readers of this module."""
        schema: dict[str, Any] = _untitled(cls.model_json_schema())
        schema.pop("description", None)
        return schema


class Arguments(Shape):
    """What a tool takes."""


class Nothing(Arguments):
    """No arguments."""


class Waiting(Arguments):
    """What a tool takes that begins a run."""

    wait: bool = Field(
        False, description="Answer when the run has ended, and report progress until then."
    )


class RunPipeline(Waiting):
    """What ``run_pipeline`` takes."""

    pipeline: str | None = Field(
        None, description="Its name; not needed where there is only one pipeline."
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="Values for the pipeline's parameters."
    )


class CancelPipeline(Arguments):
    """What ``cancel_pipeline`` takes."""

    run: str = Field(description="The id of a run that was started by this server.")


class RerunPhase(Waiting):
    """What ``rerun_phase`` takes."""

    run: str = Field(description="The id of a run that was started by this server and has ended.")
    phase: str = Field(description="The name of a phase that failed in it.")


class Parameter(Shape):
    """What a run can be given."""

    name: str
    type: Literal["string", "integer", "number", "boolean", "path"]
    description: str = ""
    choices: list[Value] | None = None
    default: Value = None
    required: bool


class Pipeline(Shape):
    """What can be run."""

    name: str
    phases: list[str]
    params: list[Parameter]


class Pipelines(Shape):
    """What ``list_pipelines`` answers."""

    pipelines: list[Pipeline]


class Failure(Shape):
    """A phase that has failed."""

    phase: str
    error: str
    logs: str = Field(description="The resource that holds all its lines.")
    last_lines: list[str]


class Started(Shape):
    """What a tool answers that has begun a run."""

    run: str = Field(description="The id of the run.")
    timeline: str = Field(description="The resource to read and to subscribe to.")
    status: str = Field(description="pending, running, completed or failed.")
    failed: list[Failure] = Field(description="The phases that have failed by now.")


class Stopped(Shape):
    """What ``cancel_pipeline`` answers."""

    run: str
    was_running: bool = Field(description="Whether it had not ended before.")


def described(param: Param) -> dict[str, Any]:
    """What a client has to know of a parameter, as JSON."""
    described: dict[str, Any] = {
        "name": param.name,
        "type": _TYPES[param.type],
        "required": param.required,
    }
    if param.description:
        described["description"] = param.description
    if param.choices:
        described["choices"] = [_as_json(choice) for choice in param.choices]
    if not param.required:
        described["default"] = _as_json(param.default)
    return described


def _as_json(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _untitled(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_untitled(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _untitled(each) for name, each in value.items()}
        if key in ("properties", "$defs")
        else _untitled(value)
        for key, value in schema.items()
        if key != "title"
    }
