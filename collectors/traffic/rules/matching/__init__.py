"""The tests of one buffer: contents, pcre, byte tests and transforms, on bytes."""
