"""The output of a tool is watched while it passes; its exit status is judged before its content, and its words are kept."""

from collections.abc import Sequence

import pytest

from actions.backup.databases.end_marker import EndMarker
from actions.backup.databases.pipe import Check, NotWhole, Tool, answer, last_lines, piped
from actions.backup.databases.source import DumpFailed
from contracts.coverage import Blind
from contracts.errors import Unavailable
from host.linux import LinuxHost


def shell(script: str, **more: object) -> Tool:
    return Tool(("sh", "-c", script), **more)  # type: ignore[arg-type]


def read(script: str, check: type[Check] = EndMarker) -> tuple[bytes, Sequence[Blind]]:
    found = bytearray()
    with piped(LinuxHost(), shell(script), check, "the dump")() as reading:
        buffer = memoryview(bytearray(1000))
        while count := reading.readinto(buffer):
            found += buffer[:count]
        return bytes(found), reading.finish()


class Distrusting:
    """Finds fault at once."""

    def feed(self, data: memoryview) -> None:
        raise NotWhole("it smells")

    def finish(self) -> Sequence[Blind]:
        raise AssertionError("what is wrong already is not asked again")


def test_all_of_it_comes_and_warnings_are_passed_on() -> None:
    assert read("head -c 5000 /dev/zero") == (bytes(5000), [])
    _, (blind,) = read("echo x; echo careful >&2")
    assert blind.detail == "sh warns: careful"


def test_the_exit_status_comes_before_what_was_wrong_with_the_content() -> None:
    with pytest.raises(DumpFailed, match=r"sh ended with code 5 \(no room\)"):
        read("echo x; echo no room >&2; exit 5", Distrusting)
    with pytest.raises(DumpFailed, match="sh ended well, but its output is not whole: it smells"):
        read("echo x", Distrusting)


def test_an_answer_is_bounded_and_must_end_well() -> None:
    assert answer(LinuxHost(), shell("echo $WORD", environment={"WORD": "hi"}), "x") == b"hi\n"
    with pytest.raises(DumpFailed, match="more than 1000 bytes"):
        answer(LinuxHost(), shell("yes"), "x", max_bytes=1000)
    with pytest.raises(DumpFailed, match=r"code 2 \(oh no\)"):
        answer(LinuxHost(), shell("echo oh no >&2; exit 2"), "x")
    with pytest.raises(Unavailable):
        answer(LinuxHost(), shell("sleep 60", timeout_s=0.2), "x")


def test_last_words_are_safe_to_show() -> None:
    assert last_lines(b"one\n\n  two  \n") == "one | two"
    assert "\x1b" not in last_lines(b"\x1b[31mred\xff")
    assert len(last_lines(b"x" * 10_000)) == 2000
    assert last_lines(b"\n".join(b"%d" % n for n in range(100))).startswith("80 | 81")
