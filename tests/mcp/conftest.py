"""For all tests of MCP: ``mcp_clients`` can be imported."""

import sys
from pathlib import Path

# importlib mode leaves the path alone; mcp_clients.py beside this file is wanted by name.
sys.path.insert(0, str(Path(__file__).parent))
