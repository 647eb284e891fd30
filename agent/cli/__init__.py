"""The agent's commands, one file each, loaded only when called."""
