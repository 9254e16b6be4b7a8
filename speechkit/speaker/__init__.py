"""Speaker-specific parameters of an utterance: prosody and x-vectors."""
