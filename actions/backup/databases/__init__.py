"""Databases into the repository: one file per product behind the interface `Source`, and what proves that a dump restores."""
