"""What this host holds that a backup should have: databases, file systems, volumes of containers, settings, people's data."""
