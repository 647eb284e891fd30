"""The versions of the console's schema, oldest first."""
