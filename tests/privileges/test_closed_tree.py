"""A checkout and a Python that only root can read: workers of other users still do their work, to the last lazy import."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Runs as the core would, from a copy of this program in a folder of mode 0700.
PROGRAM = """
import json, sys
sys.path[:0] = [sys.argv[1]]
import agent.launcher
from agent.framing import core_codec, read_frame, worker_codec, write_frame
from agent.hosting import Hosting
from agent.launcher import Launcher
from agent.privileges import WORKERS
from contracts.action import Command, Result
from contracts.frames import PROTOCOL, Do, Finished, Hello
from contracts.options import ActionOptions

def try_each():
    yield "own files", lambda: open(sys.modules["contracts"].__file__).read()
    yield "interpreter", lambda: open(sys.modules["json"].__file__).read()
    yield "idna", lambda: "bücher.example".encode("idna").decode()
    yield "strptime", lambda: str(__import__("datetime").datetime.strptime("2024-02-29", "%Y-%m-%d"))
    yield "zone", lambda: str(__import__("zoneinfo").ZoneInfo("Europe/Berlin"))
    yield "locale", lambda: str(__import__("locale").getpreferredencoding())
    yield "latin", lambda: b"\\xe4".decode("latin-1")
    yield "decimal", lambda: str(__import__("decimal").Decimal("1.5"))
    yield "command", lambda: __import__("subprocess").run(["/bin/true"], check=True) and "ran"
    yield "temporary", lambda: str(bool(__import__("tempfile").mkdtemp))
    yield "resolve", lambda: str(__import__("socket").getaddrinfo("localhost", 25)[0][4][0])
    yield "user", lambda: __import__("pwd").getpwuid(0).pw_name
    yield "traceback", lambda: __import__("traceback").format_stack() and "formatted"
    yield "regex", lambda: str(bool(__import__("re").compile("a.c").match("abc")))
    yield "uuid", lambda: str(len(str(__import__("uuid").uuid4())))
    yield "working folder", lambda: __import__("os").getcwd()

class Deed:
    name, kinds, options, arguments = "deed", (), ActionOptions, {}
    def __init__(self, options): pass
    def do(self, host, command, progress):
        answer = {}
        for what, attempt in try_each():
            try:
                answer[what] = attempt()
            except Exception as error:
                answer[what] = f"{type(error).__name__}: {error}"
        return Result(answer=answer)

class Bare:
    dry = False
    state = ""
    def now(self):
        import datetime
        return datetime.datetime.now(datetime.UTC)

agent.launcher.ANSWER_S = 100.0  # nothing of this tree is compiled yet
launcher = Launcher.start(WORKERS, lambda name: Hosting(actions={"deed": Deed}, make_host=Bare, make_dry=lambda host: host))
sock = launcher.connect("messenger")
say = lambda frame: write_frame(sock, core_codec().encode(frame))
say(Hello(protocol=PROTOCOL, options={}))
ready = worker_codec().decode(read_frame(sock))
say(Do(id=1, command=Command(id="1", action="deed", dry_run=False), deadline_s=100))
finished = worker_codec().decode(read_frame(sock))
launcher.stop()
print(json.dumps({"uid": ready.uid, "capabilities": ready.capabilities, "outcome": str(finished.result.outcome), **finished.result.answer}))
"""


@pytest.fixture
def closed(tmp_path):
    """A copy of what the worker machinery needs, below a folder that is root's alone."""
    assert os.geteuid() == 0, "this test drops privileges and so needs them"
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    for package in ("agent", "contracts"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    import msgspec

    shutil.copytree(Path(msgspec.__file__).parent, folder / "msgspec")
    tmp_path.chmod(0o700)
    return folder


@pytest.fixture
def python(tmp_path, closed):
    """The interpreter with its standard library, copied below the same folder."""
    prefix = closed / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    source = Path(sys.base_prefix)
    leave = shutil.ignore_patterns(
        "test", "site-packages", "__pycache__", "idlelib", "tkinter", "ensurepip", "lib2to3", "config-*"
    )
    shutil.copytree(source / "lib" / version, prefix / "lib" / version, ignore=leave)
    (prefix / "bin").mkdir()
    shutil.copy2(Path(sys.executable).resolve(), prefix / "bin" / "python3")
    return prefix / "bin" / "python3"


def test_a_worker_of_another_user_works_from_a_tree_that_it_cannot_read(closed, python):
    done = subprocess.run(
        [python, "-I", "-c", PROGRAM, str(closed)],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=closed,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.pop("uid") != 0 and said.pop("capabilities") == [] and said.pop("outcome") == "Ok()"
    # The control: this worker really cannot read the program it runs.
    assert said.pop("own files").startswith("PermissionError") and said.pop("interpreter").startswith("PermissionError")
    assert said.pop("working folder") == "/"
    broken = {what: answer for what, answer in said.items() if "Error" in answer}
    assert not broken
