"""Rules that nothing here can make match."""

from collectors.traffic.rules.language.ruleset import Loader
from collectors.traffic.rules.silent import never, silent

TEXT = b"""alert smb any any -> any any (msg:"a"; smb.share; content:"IPC"; sid:1;)
alert smtp any any -> any any (msg:"b"; file.magic; content:"PE"; email.body_md5; content:"5e"; sid:2;)
alert http any any -> any any (msg:"c"; http.uri; content:"x"; http.cookie; content:"y"; sid:3;)
alert tcp any any -> any any (msg:"d"; tcp.hdr; content:"|00|"; sid:4;)
alert http any any -> any any (msg:"e"; http.uri; content:"x"; http.referer; absent; sid:5;)
alert dns any any -> any any (msg:"g"; dns.query; dataset:set,seen,type string; sid:7;)
"""


def test_rules_on_buffers_that_nothing_fills_are_named_with_the_buffer() -> None:
    loader = Loader()
    loader.read(TEXT, "a.rules")
    assert not loader.ruleset.refused
    found = {rule.sid: why for rule, why in never(loader.ruleset.rules)}
    assert set(found) == {1, 2} and "smb.share" in found[1] and "email.body_md5" in found[2]
    assert "file.magic" not in found[2]
    assert silent(loader.ruleset.rules[2]) == ""
