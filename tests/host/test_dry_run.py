"""Under dry run everything is looked at and nothing is changed."""

from pathlib import Path

from host.dry_run import DryRun, Planned
from host.linux import LinuxHost


def test_changes_are_noted_and_not_made(tmp_path: Path) -> None:
    dry = DryRun(LinuxHost())
    done = dry.change("touch", str(tmp_path / "a"), stdin=b"x")
    dry.write(str(tmp_path / "b"), b"content", 0o644)
    assert (done.code, dry.dry) == (0, True)
    assert list(tmp_path.iterdir()) == []
    assert dry.planned == [
        Planned(argv=("touch", str(tmp_path / "a")), stdin=b"x"),
        Planned(path=str(tmp_path / "b"), content=b"content", mode=0o644),
    ]


def test_looking_goes_through() -> None:
    real = LinuxHost()
    dry = DryRun(real)
    assert dry.files.read("/proc/self/stat")
    assert dry.read_bytes == real.read_bytes > 0
    assert dry.facts() == real.facts()
    assert dry.capabilities() == real.capabilities()


def test_a_stream_is_noted_and_says_nothing(tmp_path: Path) -> None:
    dry = DryRun(LinuxHost())
    with dry.stream("touch", str(tmp_path / "a"), files={"pass": b"secret"}) as running:
        assert running.readinto(memoryview(bytearray(10))) == 0
        assert running.end().code == 0
    assert list(tmp_path.iterdir()) == []
    assert dry.planned == [Planned(argv=("touch", str(tmp_path / "a")))]
