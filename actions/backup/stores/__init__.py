"""Where a repository lives: one interface, one file per kind of place."""
