"""milo-mcp: AI agents watch pipelines live, over the Model Context Protocol.

runs           what is known of the runs of this process
publishing     how they get known: the observer that this package installs
uris           the addresses of timelines and logs
documents      what is read there
updates        from a change on any thread to each subscriber
subscriptions  the two ways to subscribe
controls       running pipelines for clients; tools: the same as MCP tools
server         ``TimelineServer``
http           serving it on a socket

Importing this package imports nothing of MCP; ``TimelineServer`` does when it is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from milo_mcp.controls import ControlError, PipelineControls
    from milo_mcp.server import TimelineServer

__version__ = "0.1.0"

__all__ = ["ControlError", "PipelineControls", "TimelineServer"]


def __getattr__(name: str) -> Any:
    if name == "TimelineServer":
        from milo_mcp.server import TimelineServer

        return TimelineServer
    if name in ("ControlError", "PipelineControls"):
        from milo_mcp import controls

        return getattr(controls, name)
    raise AttributeError(f"module 'milo_mcp' has no attribute {name!r}")
