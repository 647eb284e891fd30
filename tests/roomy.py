"""The workers' privileges for tests that fork workers from the test runner, whose memory such a worker begins with."""

from msgspec.structs import replace

from agent.privileges import WORKERS

ROOMY = {name: replace(worker, memory_bytes=64 << 30) for name, worker in WORKERS.items()}
"""`WORKERS` without the limit of memory: the runner alone may hold more after thousands of tests (the stacks of threads count, too).
The limit itself is tested in `tests/agent/test_privileges.py`, in processes with a limit of their own."""
