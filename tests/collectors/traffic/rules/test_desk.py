"""The variables that a command gives."""

import pytest

from collectors.traffic.rules.desk import RulesDesk


def test_names_of_ports_are_port_groups_and_others_addresses() -> None:
    found = RulesDesk().variables({"HOME_NET": "10.9.0.0/16", "SSH_PORTS": "[22,2222]", "MY_PORTS": "1:5"})
    assert found.addresses["HOME_NET"] == "10.9.0.0/16" and found.addresses["EXTERNAL_NET"] == "!$HOME_NET"
    assert (found.ports["SSH_PORTS"], found.ports["MY_PORTS"]) == ("[22,2222]", "1:5")


@pytest.mark.parametrize(("name", "value"), [("HOME_NET", "nonsense"), ("SSH_PORTS", "ssh"), ("A", "$B")])
def test_a_value_that_is_no_group_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^.{name}: "):
        RulesDesk().variables({name: value})
