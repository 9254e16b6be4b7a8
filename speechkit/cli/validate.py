def validate() -> None:
    """."""
