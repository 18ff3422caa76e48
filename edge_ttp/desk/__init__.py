"""Where people write: git commits, and programs that speak MCP."""
