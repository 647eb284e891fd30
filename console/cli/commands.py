"""The console's part of the `holdfast` command: what there is, where it is, and one line of help each. Imports nothing."""

COMMANDS = {
    "console": ("console.cli.group:console", "Run the console; manage its tokens, agents, users and authority."),
}
SUBCOMMANDS = {
    "serve": ("console.cli.serve:serve", "Run the console in the foreground."),
    "token": ("console.cli.token:token", "Make, list or revoke enrolment tokens."),
    "api-token": ("console.cli.api_token:api_token", "Make, list or revoke tokens for programs that use the JSON API."),
    "agents": ("console.cli.agents:agents", "List, show or revoke agents."),
    "user": ("console.cli.user:user", "Add, list or change the people who may log in."),
    "ca": ("console.cli.authority:ca", "Show, renew, back up or restore the certificate authority."),
    "doctor": ("console.cli.doctor:doctor", "Check every precondition and say how to fix what fails."),
    "config": ("console.cli.config:config", "Check or show the console's configuration."),
}
