def extract_xvector() -> None:
    """."""
