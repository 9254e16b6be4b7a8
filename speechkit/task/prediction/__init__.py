"""What the ``predict`` of every task shares: inputs, outputs, and results that are kept."""
