"""Apache: directives with the sections around them."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.semantic.apache import explain
from contracts.event import Severity


def test_a_handler_for_pictures_is_grave() -> None:
    (one,) = explain("", "<Directory /srv>\n  AddHandler application/x-httpd-php .jpg\n</Directory>\n")
    assert one.text == "Apache now says addhandler application/x-httpd-php .jpg in Directory /srv"
    assert one.severity is Severity.HIGH and one.attack == ("T1505.003",)


def test_an_htaccess_that_prepends_a_file_is_grave() -> None:
    assert explain("", "php_value auto_prepend_file /tmp/x\n")[0].severity is Severity.HIGH


def test_case_of_names_layout_and_comments_are_no_difference() -> None:
    assert explain("Listen 80\n", "# x\n  listen   80\n") == []


def test_a_line_that_went() -> None:
    assert explain("Require all denied\n", "")[0].text == "Apache no longer says require all denied"


def test_a_line_in_the_second_of_two_sections_of_one_name_is_told() -> None:
    two = "<Directory /a>\nRequire all granted\n</Directory>\n<Directory /a>\n</Directory>\n"
    new = two.replace("<Directory /a>\n</", "<Directory /a>\nRequire all granted\n</")
    assert [one.text for one in explain(two, new)] == ["Apache now says require all granted in Directory /a"]


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_explained(old: str, new: str) -> None:
    assert explain(old, old) == []
    explain(old, new)
