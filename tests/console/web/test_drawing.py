"""The templates: complete, without anything inline, and unable to leave a name undefined."""

import re
from importlib.resources import files

import jinja2
import pytest

from console.web.drawing import CONTENT_TYPES, environment, static_file, static_url

TEMPLATES = sorted(
    path.name for path in files("console").joinpath("templates").iterdir() if path.name.endswith(".html")
)


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_template_has_anything_inline(name):
    text = files("console").joinpath("templates", name).read_text()
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:|<script(?! src=)|\|safe|autoescape", text)


def test_an_undefined_name_is_an_error_and_not_a_blank():
    with pytest.raises(jinja2.UndefinedError):
        environment().from_string("{{ nothing }}").render()


def test_everything_printed_is_escaped_and_visible():
    shown = environment().from_string('<a title="{{ x }}">{{ x }}</a>').render(x='"><script>\u202e')
    assert shown == '<a title="&#34;&gt;&lt;script&gt;⟨U+202E⟩">&#34;&gt;&lt;script&gt;⟨U+202E⟩</a>'


def test_files_are_named_by_their_content():
    assert re.fullmatch(r"/static/console\.css\?v=[0-9a-f]{12}", static_url("console.css"))
    with pytest.raises(KeyError):
        static_file("../settings.py")


def test_every_icon_that_is_used_is_drawn():
    drawn = set(re.findall(r'symbol id="([\w-]+)"', static_file("icons.svg").decode()))
    used = set(
        re.findall(
            r'icon\("([\w-]+)"\)', "".join(files("console").joinpath("templates", n).read_text() for n in TEMPLATES)
        )
    )
    from console.web import firewall_view, pages_host, ports_view, words

    for group in (
        words.STATES, words.SEVERITIES, words.SIGHTS, ports_view.EXPECTED, firewall_view.FILTERING, firewall_view.POLICIES,
    ):  # fmt: skip
        used |= {sign.icon for sign in group.values()}
    used |= {
        s.icon
        for s in (firewall_view.NO_IPV6, firewall_view.UNKNOWN, pages_host.OK, pages_host.BLIND, pages_host.BROKE)
    }
    assert used <= drawn


def test_the_only_files_served_are_the_ones_listed():
    assert {path.name for path in files("console").joinpath("static").iterdir()} == set(CONTENT_TYPES)
