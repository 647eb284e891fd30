"""What the console remembers, behind one interface."""
