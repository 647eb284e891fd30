"""Checking files: folders, bad paths, and rules whose expressions do not compile."""

from pathlib import Path

import pytest

from collectors.traffic.rules.checking import check, files

GOOD = b'alert tcp any any -> any any (content:"a"; sid:1;)\n'


def test_a_folder_stands_for_its_rules_files(tmp_path: Path) -> None:
    (tmp_path / "b.rules").write_bytes(GOOD.replace(b"sid:1", b"sid:2"))
    (tmp_path / "a.rules").write_bytes(GOOD)
    (tmp_path / "notes.txt").write_bytes(b"no rules")
    assert [path.name for path in files([tmp_path])] == ["a.rules", "b.rules"]
    assert [rule.sid for rule in check([tmp_path]).rules] == [1, 2]


def test_an_expression_that_does_not_compile_refuses_its_rule(tmp_path: Path) -> None:
    path = tmp_path / "a.rules"
    path.write_bytes(
        GOOD
        + b'alert tcp any any -> any any (pcre:"/(/"; sid:2;)\n'
        + b'alert http any any -> any any (http.host; pcrexform:"a"; content:"a"; sid:3;)\n'
    )
    ruleset = check([path])
    assert [rule.sid for rule in ruleset.rules] == [1]
    assert [(one.sid, one.line) for one in ruleset.refused] == [(2, 2), (3, 3)]


def test_classes_come_from_a_file_and_its_odd_lines_are_told(tmp_path: Path) -> None:
    path, classes = tmp_path / "a.rules", tmp_path / "classification.config"
    path.write_bytes(b"alert tcp any any -> any any (classtype:mine; sid:1;)\n")
    classes.write_text("# x\nconfig classification: mine,My own class,2\nnonsense\n")
    ruleset = check([path], classification=classes)
    assert (ruleset.rules[0].category, ruleset.rules[0].priority) == ("My own class", 2)
    assert ruleset.notes == [f"{classes}:3: not a classification"]


def test_paths_that_lead_nowhere_say_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check([tmp_path / "none.rules"])
    with pytest.raises(ValueError, match="no file ends with"):
        check([tmp_path])
    (tmp_path / "binary.rules").write_bytes(b"\x7fELF\0\0")
    with pytest.raises(ValueError, match="not text"):
        check([tmp_path / "binary.rules"])


def test_events_that_nothing_sets_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.rules"
    path.write_bytes(
        b"alert http any any -> any any (app-layer-event:http.gzip_decompression_failed; sid:1;)\n"
        b"alert http any any -> any any (app-layer-event:http.no_such_event; sid:2;)\n"
        b"alert tcp any any -> any any (stream-event:3whs_ack_in_wrong_dir; sid:3;)\n"
        b"alert tcp any any -> any any (stream-event:no_such_event; sid:4;)\n"
        b"alert pkthdr any any -> any any (decode-event:ipv4.trunc_pkt; sid:5;)\n"
        b"alert pkthdr any any -> any any (decode-event:ipv4.no_such_event; sid:6;)\n"
    )
    ruleset = check([path])
    assert [rule.sid for rule in ruleset.rules] == [1, 3, 5]
    assert [one.sid for one in ruleset.refused] == [2, 4, 6]


def test_rules_on_buffers_that_nothing_fills_are_refused_with_the_buffer(tmp_path: Path) -> None:
    (tmp_path / "a.rules").write_text(
        """alert smb any any -> any any (msg:"a"; smb.share; content:"IPC"; sid:1;)
alert smtp any any -> any any (msg:"b"; file.data; content:"PE"; email.body_md5; content:"5e"; sid:2;)
alert mqtt any any -> any any (msg:"c"; mqtt.publish.topic; absent; sid:3;)
alert http any any -> any any (msg:"d"; http.uri; content:"x"; http.cookie; content:"y"; sid:4;)
alert tcp any any -> any any (msg:"e"; tcp.hdr; content:"|00|"; sid:5;)
alert http any any -> any any (msg:"f"; http.uri; content:"x"; http.referer; absent; sid:6;)
alert dns any any -> any any (msg:"g"; dns.query; dataset:set,seen,type string; sid:7;)
alert mqtt any any -> any any (msg:"h"; content:"x"; sid:8;)
"""
    )
    found = check([tmp_path])
    assert [rule.sid for rule in found.rules] == [4, 5, 6, 7, 8]
    assert {one.sid: one.reason for one in found.refused} == {
        1: "nothing here fills this buffer: smb.share",
        2: "nothing here fills this buffer: email.body_md5",
        3: "nothing here fills this buffer: mqtt.publish.topic",
    }
