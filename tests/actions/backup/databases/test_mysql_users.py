"""The script of users makes all of them before it grants, and says that it is whole at its end."""

from actions.backup.databases.mysql_users import END, User, users_script


def test_users_come_before_grants_and_the_end_last() -> None:
    answers = {
        "SHOW CREATE USER 'an''na'@'%'": "CREATE USER `an'na`@`%` IDENTIFIED BY PASSWORD 'x'\n",
        "SHOW GRANTS FOR 'an''na'@'%'": "GRANT USAGE ON *.* TO `an'na`@`%`\nGRANT SELECT ON `a`.* TO `an'na`@`%`\n",
        "SHOW CREATE USER 'back\\\\slash'@'localhost'": "CREATE USER `back\\slash`@`localhost`\n",
        "SHOW GRANTS FOR 'back\\\\slash'@'localhost'": "GRANT USAGE ON *.* TO `back\\slash`@`localhost`\n",
    }
    script = users_script(
        [User(user="an'na", host="%"), User(user="back\\slash", host="localhost")], answers.__getitem__
    ).decode()
    assert script.splitlines()[1:] == [
        "CREATE USER IF NOT EXISTS `an'na`@`%` IDENTIFIED BY PASSWORD 'x';",
        "CREATE USER IF NOT EXISTS `back\\slash`@`localhost`;",
        "GRANT USAGE ON *.* TO `an'na`@`%`;",
        "GRANT SELECT ON `a`.* TO `an'na`@`%`;",
        "GRANT USAGE ON *.* TO `back\\slash`@`localhost`;",
        END,
    ]
