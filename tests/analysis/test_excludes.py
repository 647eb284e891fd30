"""Excludes mean what the stock restic means by them, pattern for pattern."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actions.backup.repository import Repository
from analysis.excludes import BadPattern, Excludes, check_patterns, lowered, parse_tag, read_patterns
from tests.actions.backup import conftest as repositories
from tests.actions.backup.conftest import Restic

repository, restic, where = repositories.repository, repositories.restic, repositories.where

NAMES = ["a", "b", "ab", "a.b", "A", "[a]", "a b", "é", "b-c", "*"]
HAND_WRITTEN = [
    ["a"],
    ["*"],
    ["?"],
    ["/"],
    ["**"],
    ["**/b"],
    ["a/**"],
    ["a/**/b"],
    ["a/**/b/**/ab"],
    ["b/**/**"],
    ["./a"],
    ["a//b/"],
    ["a/../b"],
    ["[ab]"],
    ["[^a]"],
    ["[b-a]"],
    ["[^b-a]"],
    [r"\[a\]"],
    [r"\*"],
    ["a.*"],
    ["é", "??"],
    ["*", "!a"],
    ["a", "!a/b"],
    ["*b", "!ab", "a*"],
    ["!a", "a"],
    ["", "b"],
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two levels of every name, a third of some."""
    root = tmp_path / "root"
    for first in NAMES:
        for second in NAMES:
            (root / first / second).mkdir(parents=True)
        (root / first / "b" / "ab").mkdir()
    return root


def by_restic(restic: Restic, root: Path, patterns: list[str], flag: str = "--exclude") -> set[str] | None:
    """What restic would save below `root`; None when it takes a pattern for invalid."""
    words = [word for pattern in patterns for word in (flag, pattern)]
    done = restic("backup", "--dry-run", "-vv", "--json", *words, root, code=None)
    if done.returncode:
        assert b"invalid pattern" in done.stderr, done.stderr
        return None
    told = [json.loads(line) for line in done.stdout.splitlines()]
    paths = [line["item"] for line in told if line.get("action") == "new"]
    return {os.path.normpath(path) for path in paths if path.startswith(f"{root}/")} - {str(root)}


def by_us(root: Path, excludes: Excludes) -> set[str]:
    """The same as our archiver goes: what is left out is not entered."""
    found = set()
    stack = [] if excludes.match(str(root)) else [root]
    while stack:
        for path in stack.pop().iterdir():
            if not excludes.match(str(path)):
                found.add(str(path))
                stack.append(path)
    return found


@pytest.mark.parametrize("patterns", HAND_WRITTEN, ids=" ".join)
def test_a_pattern_leaves_out_what_restic_leaves_out(
    repository: Repository, tree: Path, restic: Restic, patterns: list[str]
) -> None:
    assert by_us(tree, Excludes(patterns)) == by_restic(restic, tree, patterns)


@pytest.mark.parametrize("patterns", [["A"], ["*B"], ["É"], ["[B-C]-C"], ["*", "!A"]], ids=" ".join)
def test_without_case_too(repository: Repository, tree: Path, restic: Restic, patterns: list[str]) -> None:
    assert by_us(tree, Excludes(insensitive=patterns)) == by_restic(restic, tree, patterns, "--iexclude")


def test_from_the_root_means_from_the_root(repository: Repository, tree: Path, restic: Restic) -> None:
    for patterns in ([f"{tree}/a"], [f"{tree}/*/b"], [f"{tree}/**/ab"], [f"{tree}/a/**/b/**/ab"], ["/a"], [str(tree)]):
        assert by_us(tree, Excludes(patterns)) == by_restic(restic, tree, patterns), patterns


part = st.text(alphabet="ab*?[]^-\\.!", min_size=1, max_size=5) | st.sampled_from(["a", "b", "**", "*"])
pattern = st.builds(
    lambda root, parts: root + "/".join(parts), st.sampled_from(["", "!", "/"]), st.lists(part, min_size=1, max_size=4)
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(pattern, min_size=1, max_size=3))
def test_any_patterns_mean_what_they_mean_to_restic(
    repository: Repository, tmp_path: Path, restic: Restic, patterns: list[str]
) -> None:
    root = tmp_path / "small"
    for path in ("a/b/a", "b/a/b", "ab/a.b/a", "a/b/ab/b"):
        (root / path).mkdir(parents=True, exist_ok=True)
    try:
        excludes = Excludes(patterns)
    except BadPattern:
        assert by_restic(restic, root, patterns) is None, patterns
        return
    assert by_us(root, excludes) == by_restic(restic, root, patterns), patterns


@pytest.mark.parametrize("bad", ["[", "[]", "[]a]", "[-]", "[a-]", "[a", "[a-", "a\\", "[\\", "x/[^"])
def test_what_is_no_pattern_is_refused_and_named(bad: str) -> None:
    with pytest.raises(BadPattern) as caught:
        check_patterns(["fine", bad])
    assert bad in str(caught.value)


def test_a_name_that_is_not_utf8_is_matched_byte_by_byte() -> None:
    path = os.fsdecode(b"/x/\xff\xfe.tmp")
    assert Excludes(["*.tmp"]).match(path)
    assert Excludes(["??.tmp"]).match(path)
    assert not Excludes(["?.tmp"]).match(path)
    assert Excludes(["*"]).match("/a\nb")


def test_exclude_files_have_comments_and_variables() -> None:
    text = "# comment\n\n  *.o  \n$HOME/x\n${HOME}y\nprice$$\n$NOTHING/z\r\n"
    assert read_patterns(text, {"HOME": "/root"}) == ["*.o", "/root/x", "/rooty", "price$", "/z"]


def test_a_tag_is_a_name_and_perhaps_how_it_begins() -> None:
    assert parse_tag(".nobackup") == (".nobackup", b"")
    assert parse_tag("TAG:Signature: 1") == ("TAG", b"Signature: 1")
    for bad in ("", ":x", "a/b"):
        with pytest.raises(BadPattern):
            parse_tag(bad)


def test_lower_case_keeps_the_number_of_characters() -> None:
    assert lowered("AÉİß") == "aéiß"
