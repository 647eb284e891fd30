"""Classes of rules."""

from collectors.traffic.rules.language.classification import STOCK, Classes
from collectors.traffic.rules.language.parser import Parser


def test_a_file_adds_to_the_stock_and_odd_lines_are_counted() -> None:
    classes = Classes("# x\nconfig classification: Mine,My own,4\n\nconfig classification: broken\n")
    assert classes.bad_lines == [4]
    found = Parser().rule("alert tcp any any -> any any (classtype:mine; sid:1;)")
    classes.apply(found)
    assert (found.category, found.priority) == ("My own", 4)


def test_an_unknown_class_changes_nothing() -> None:
    found = Parser().rule("alert tcp any any -> any any (classtype:unheard-of; sid:1;)")
    Classes().apply(found)
    assert (found.category, found.priority) == ("", 3)
    assert all(1 <= priority <= 4 for _, priority in STOCK.values())
