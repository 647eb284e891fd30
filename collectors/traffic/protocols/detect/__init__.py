"""Detection of protocols by content."""
