"""milo-mcp: AI agents watch pipelines live, over the Model Context Protocol.

runs           what is known of the runs of this process
publishing     how they get known: the observer that this package installs
uris           the addresses of timelines and logs
documents      what is read there
updates        from a change on any thread to each subscriber
subscriptions  the two ways to subscribe
controls       running pipelines for clients
tools, shapes  the same as MCP tools, and what they take and answer
server         ``TimelineServer``
stdio, http    serving it on stdin and stdout, and on a socket

Importing this package imports nothing of MCP; ``TimelineServer`` does when it is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from milo_mcp.controls import ControlError, PipelineControls
    from milo_mcp.server import TimelineServer
    from milo_mcp.stdio import Wire

__version__ = "0.1.0"

__all__ = ["ControlError", "PipelineControls", "TimelineServer", "Wire"]

_HOMES = {
    "ControlError": "milo_mcp.controls",
    "PipelineControls": "milo_mcp.controls",
    "TimelineServer": "milo_mcp.server",
    "Wire": "milo_mcp.stdio",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return globals().setdefault(name, getattr(import_module(_HOMES[name]), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
