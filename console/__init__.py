"""The central collector and its web pages: runs once, for all servers."""
