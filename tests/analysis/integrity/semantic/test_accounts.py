"""Accounts: who came, went, became root; and that no hash ever shows."""

import re

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.semantic.accounts import algorithm, group, passwd, redacted, shadow
from contracts.event import Severity

ROOT = "root:x:0:0:root:/root:/bin/bash\n"
HASH = "$y$j9T$salt$Ab3dEfGhIjKlMnOpQrStUvWxYz0123456789ABCDEFG"
OTHER = "$6$salt$Zz9YyXxWwVvUuTtSsRrQqPpOoNnMmLlKkJj"


def test_an_account_with_roots_number_is_grave_and_one_that_cannot_log_in_is_not() -> None:
    (one,) = passwd(ROOT, ROOT + "eve:x:0:0::/root:/bin/bash\n")
    assert one.text == "account eve was added with root's number (uid 0, shell /bin/bash)"
    assert one.severity is Severity.HIGH and "T1136.001" in one.attack
    (one,) = passwd(ROOT, ROOT + "sshd:x:103:65534::/run/sshd:/usr/sbin/nologin\n")
    assert one.severity is Severity.LOW and one.text.endswith("which cannot log in)")


def test_a_shell_a_number_and_an_empty_password_field_are_told() -> None:
    old = ROOT + "www:x:33:33::/var/www:/usr/sbin/nologin\n"
    said = [one.text for one in passwd(old, ROOT + "www::0:33::/var/www:/bin/sh\n")]
    assert said == ["www needs no password", "uid of www 33 -> 0", "shell of www /usr/sbin/nologin -> /bin/sh"]


def test_a_name_that_stands_twice_is_told() -> None:
    assert any("stands more than once" in one.text for one in passwd(ROOT, ROOT + "root:x:0:0::/:/bin/sh\n"))


def test_a_password_that_was_locked_emptied_or_changed_is_told_without_it() -> None:
    lines = {
        "set": f"a:{HASH}:1::::::\n",
        "other": f"a:{OTHER}:1::::::\n",
        "locked": f"a:!{HASH}:1::::::\n",
        "empty": "a::1::::::\n",
    }
    assert [one.text for one in shadow(lines["set"], lines["other"])] == [
        "password of a: set, yescrypt -> set, SHA-512"
    ]
    (emptied,) = shadow(lines["set"], lines["empty"])
    assert emptied.text.endswith("empty, no password needed") and emptied.severity is Severity.HIGH
    (opened,) = shadow(lines["locked"], lines["set"])
    assert opened.severity is Severity.HIGH


def test_a_redacted_file_says_the_same_and_holds_no_hash() -> None:
    old, new = f"a:{HASH}:1::::::\nb:*:1::::::\n", f"a:{HASH}x:1::::::\nb:!:1::::::\n"
    short = [redacted(each.encode()).decode() for each in (old, new)]
    assert [one.text for one in shadow(*short)] == [one.text for one in shadow(old, new)]
    assert "Ab3dEf" not in short[0] and "salt" not in short[0]
    assert redacted(short[0].encode()).decode() == short[0]


@given(
    st.text(alphabet=st.characters(exclude_characters=":\n!", codec="utf-8"), min_size=20, max_size=80),
    st.text(max_size=20),
)
def test_no_sentence_and_no_redacted_file_holds_any_part_of_a_hash(secret: str, before: str) -> None:
    old, new = f"a:{before.replace(':', '').replace(chr(10), '')}:1::::::\n", f"a:$6$s${secret}:1::::::\n"
    said = " ".join(one.text for one in shadow(old, new)) + redacted(new.encode()).decode("utf-8", "replace")
    assert secret not in said


def test_algorithms_are_named() -> None:
    assert [algorithm(each) for each in ("", "*", "!", "$1$a$b", "!$y$a", "abJnggxhB/yWI")] == [
        "", "", "", "MD5", "yescrypt", "DES",
    ]  # fmt: skip


def test_joining_a_group_that_amounts_to_root_is_grave() -> None:
    said = group("sudo:x:27:\ndocker:x:99:bob\n", "sudo:x:27:eve\ndocker:x:99:\nnew:x:7:\n")
    assert [(one.text, one.severity) for one in said] == [
        ("eve joined the group sudo", Severity.HIGH),
        ("bob left the group docker", Severity.LOW),
        ("group new was added", Severity.LOW),
    ]


def test_roots_number_is_known_however_it_is_written() -> None:
    for number in ("00", " 0", "+0", "-0"):
        (one,) = passwd(ROOT, ROOT + f"eve:x:{number}:0::/:/bin/sh\n")
        assert one.severity is Severity.HIGH and "root's number" in one.text, number


def test_who_may_let_others_into_a_group_and_its_password_are_told() -> None:
    (one,) = group("sudo:*::\n", "sudo:*:eve:\n")
    assert (one.text, one.severity) == ("eve may now let others into the group sudo", Severity.HIGH)
    (one,) = group("sudo:*::\n", f"sudo:{OTHER}::\n")
    assert one.severity is Severity.HIGH and OTHER not in one.text
    assert group("sudo:x:27:\n", "sudo:x:27:\n") == []


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_explained(old: str, new: str) -> None:
    for explain in (passwd, shadow, group):
        assert explain(old, old) == [] or re.search("more than once", explain(old, old)[0].text)
        explain(old, new)
