"""The backup room: a repository in restic's format, what is saved into it and what is restored from it."""
