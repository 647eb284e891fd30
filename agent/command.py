"""The `holdfast` command: finds its subcommands by entry point and imports one only when it is called."""
