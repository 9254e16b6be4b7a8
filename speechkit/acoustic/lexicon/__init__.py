"""How a text is said: pronunciations, numbers and units in words, readings."""
