def extract_prosody() -> None:
    """."""
