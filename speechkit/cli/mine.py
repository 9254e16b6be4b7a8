def mine_hard() -> None:
    """."""
