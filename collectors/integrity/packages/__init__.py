"""What package tools did and what their packages ship: signed archives, dpkg's lists, runs, and whether one is under way."""
