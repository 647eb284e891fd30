"""Mail: SMTP and the messages it carries."""
