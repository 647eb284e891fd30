"""What is kept until the console has it: a durable queue of three lanes."""
