"""The console's commands, one file per group."""
