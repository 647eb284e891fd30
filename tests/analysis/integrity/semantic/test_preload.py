"""Libraries that every program loads."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.semantic.preload import folders, preload
from contracts.event import Severity


def test_a_library_for_every_program_is_critical() -> None:
    (one,) = preload("", "/usr/lib/evil.so # x\n")
    assert (one.text, one.attack, one.severity) == (
        "every program now loads /usr/lib/evil.so",
        ("T1574.006",),
        Severity.CRITICAL,
    )
    assert len(preload("/a:/b /c\n", "/b\n")) == 2


def test_a_folder_of_libraries_is_told() -> None:
    assert folders("# x\n", "# y\n/opt/lib\n")[0].text == "libraries are now sought in /opt/lib"


@given(st.text(max_size=100), st.text(max_size=100))
def test_any_text_is_explained(old: str, new: str) -> None:
    assert preload(old, old) == folders(new, new) == []
    preload(old, new)
