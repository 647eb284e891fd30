"""What changed on watched files, what accounts for it, and what it means."""
