"""nginx: directives with the blocks around them."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.semantic.nginx import explain, parse
from contracts.event import Severity

SITE = "server {\n  listen 80;\n  location / { root /srv; }\n}\n"


def test_a_directive_is_told_with_its_place() -> None:
    new = SITE.replace("root /srv;", "proxy_pass http://192.0.2.1; # there")
    said = explain(SITE, new)
    assert [one.text for one in said] == [
        "nginx now says proxy_pass http://192.0.2.1 in server > location /",
        "nginx no longer says root /srv in server > location /",
    ]
    assert said[0].attack == ("T1090",)


def test_layout_comments_and_quotes_are_no_difference() -> None:
    assert explain(SITE, "server{listen 80;# x\nlocation / {\n\troot\n/srv ;}}") == []
    assert list(parse('a "b;{c}" d;')) == [('a "b;{c}" d',)]


def test_a_log_that_is_switched_off_and_a_module_are_grave() -> None:
    assert explain("", "access_log off;")[0].severity is Severity.HIGH
    assert explain("", "load_module /tmp/x.so;")[0].severity is Severity.HIGH


def test_a_directive_in_the_second_of_two_blocks_of_one_name_is_told() -> None:
    two = "server { location / { auth_basic off; } }\nserver { location / { } }\n"
    (one,) = explain(two, two.replace("{ }", "{ auth_basic off; }"))
    assert one.text == "nginx now says auth_basic off in server > location /" and one.severity is Severity.HIGH


def test_a_program_in_a_block_is_told_and_grave() -> None:
    (one,) = explain(SITE, SITE.replace("root /srv;", "root /srv; content_by_lua_block { os.execute(ngx.var.arg_c) }"))
    assert "os.execute(ngx.var.arg_c)" in one.text and one.attack == ("T1505.003",) and one.severity is Severity.HIGH


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_explained(old: str, new: str) -> None:
    assert explain(old, old) == []
    explain(old, new)
