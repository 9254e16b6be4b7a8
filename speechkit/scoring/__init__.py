"""Transfer scoring: from the hidden features of an acoustic model to a score of an utterance."""
