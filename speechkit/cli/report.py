def report() -> None:
    """."""
