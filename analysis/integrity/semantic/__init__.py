"""What a change of a known file means, in sentences: one module a format, pure functions of the text before and after."""
