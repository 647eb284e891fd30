"""The machinery that runs on every server; it is ignorant of any single collector or action."""
