"""What a header says of its package."""

import random

import pytest

from analysis.integrity.rpm_header import Header
from analysis.integrity.rpm_package import files, package, scripts
from tests.analysis.integrity import rpm_headers
from tests.analysis.integrity.rpm_headers import header


def test_a_package_is_named_with_its_epoch_and_the_run_that_brought_it() -> None:
    one = package(Header(rpm_headers.package()))
    assert one.identity == ("tool", "2:1.0-1", "x86_64") and one.key == "tool:x86_64"
    assert (one.run, one.installed_s, one.algorithm, one.signatures) == (76, 77, "sha256", (b"packet",))
    assert package(Header(rpm_headers.package(t1003=[0]))).version == "1.0-1"


def test_files_have_what_the_header_says_and_a_ghost_has_no_content() -> None:
    tool, ghost = files(Header(rpm_headers.package()))
    assert (tool.shipped.path, tool.shipped.mode, tool.shipped.owner) == (b"/usr/bin/tool", 0o100755, "root")
    assert tool.shipped.content == b"\xab" * 32 and tool.shipped.capabilities and not tool.ghost
    assert ghost.ghost and ghost.shipped.content == b"" and ghost.shipped.path == b"/var/lib/ghost"
    assert scripts(Header(rpm_headers.package())) == "touch /var/lib/made"


def test_a_digest_of_another_kind_is_no_sha256() -> None:
    one = Header(rpm_headers.package(t5011=[1], t1035=[b"ab" * 16, b""]))
    assert files(one)[0].shipped.content == b"" and files(one)[0].digest == "ab" * 16
    assert package(one).algorithm == "md5" and package(Header(rpm_headers.package(t5011=[99]))).algorithm == ""


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"t1028": [4]}, "not of one length"),
        ({"t1116": [0, 9]}, "folder 9 of 2"),
        ({"t1118": [b"usr/", b"/"]}, "folder 0 of 2"),
        ({"t1035": [b"xy" * 32, b""]}, "no hexadecimal"),
        ({"t1035": [b"ab" * 16, b""]}, "of 16 bytes"),
    ],
)
def test_lists_that_do_not_fit_together_are_refused(more, why) -> None:
    with pytest.raises(ValueError, match=why):
        files(Header(rpm_headers.package(**more)))


def test_a_package_without_a_name_or_with_white_space_in_it_is_refused() -> None:
    for name in (b"", b"a b", b" a"):
        with pytest.raises(ValueError, match="name"):
            package(Header(rpm_headers.package(t1000=[name])))


def test_rpm_6_keeps_its_signatures_as_text_and_rpm_3_its_names_in_another_way() -> None:
    inside = {(1000, 6): [b"tool"], (1001, 6): [b"1"]}
    assert package(Header(header(inside, {(278, 8): [b"cGFja2V0"]}))).signatures == (b"packet",)
    with pytest.raises(ValueError, match="no base64"):
        package(Header(header(inside, {(278, 8): [b"%"]})))
    with pytest.raises(ValueError, match="rpm 3"):
        files(Header(header(inside | {(1027, 8): [b"/a"]})))
    assert files(Header(header(inside))) == []


def test_a_header_that_was_damaged_anywhere_is_read_within_bounds_or_refused() -> None:
    whole, chance, refused = rpm_headers.package(), random.Random(7), 0
    for _ in range(3000):
        blob = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            blob[chance.randrange(len(blob))] = chance.randrange(256)
        try:
            one = Header(bytes(blob))
            assert len(package(one).name) < len(blob) and len(files(one)) < len(blob) and len(scripts(one)) < len(blob)
        except ValueError as error:
            assert str(error)
            refused += 1
    assert 500 < refused < 3000
