"""Files: names, sizes, hashes; and sets of values."""

import pytest

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.language.rule import Content, Datarep, Dataset, FieldTest, Number, Rule


def rule(options: str) -> Rule:
    return Parser().rule(f"alert http any any -> any any ({options} sid:1;)")


def test_names_and_endings_of_files_are_contents() -> None:
    found = rule('filename:"secret"; fileext:"pdf"; filemagic:!"PDF";')
    assert [test.buffer for test in found.buffers] == ["file.name", "file.name", "file.magic"]
    assert found.buffers[1].matches == [Content(b".pdf", nocase=True, endswith=True)]
    assert found.buffers[2].matches == [Content(b"PDF", True)]


def test_they_end_a_sticky_buffer() -> None:
    found = rule('file.data; content:"MZ"; fileext:"exe"; content:"payload"; http.uri; content:"x"; filename:"y";')
    assert [test.buffer for test in found.buffers] == ["file.data", "file.name", "http.uri", "file.name"]
    assert found.payload is not None and found.payload.matches == [Content(b"payload")]


def test_sizes_and_hashes() -> None:
    found = rule("filesize:>1kb; filesha256:!list.txt; filestore:response,flow;")
    assert found.tests == [FieldTest("filesize", Number(">", 1024))]
    (digest,) = found.buffers
    assert digest.buffer == "file.sha256"
    (match,) = digest.matches
    assert isinstance(match, Dataset) and (match.cmd, match.type, match.load) == ("isnotset", "filesha256", "list.txt")
    assert found.filestore == ("response", "flow")


def test_sets() -> None:
    (test,) = rule(
        "http.user_agent; dataset:set,ua,type string,state ua.lst,memcap 1mb; sid:1;".removesuffix(" sid:1;")
    ).buffers
    assert test.matches == [Dataset("set", "ua", "string", "", "ua.lst", 1 << 20)]
    (test,) = rule("http.host; datarep:hosts,>,5,load hosts.lst,type string;").buffers
    assert test.matches == [Datarep("hosts", ">", 5, "string", "hosts.lst")]


@pytest.mark.parametrize(
    "options",
    [
        'http.uri; filename:"a";',
        'http.uri; content:"b"; to_lowercase; filename:"a";',
        'base64_decode; base64_data; content:"b"; filename:"a";',
        "http.uri; dataset:jump,a;",
        "http.uri; dataset:isset,a,type nothing;",
        "http.uri; dataset:isset,a,type string,state x,load y;",
        "http.uri; datarep:a,>,5,type nothing;",
        "filestore:sideways;",
        "filesize:both,5;",
    ],
)
def test_what_makes_no_sense_is_refused(options: str) -> None:
    with pytest.raises(Refused):
        rule(options)
