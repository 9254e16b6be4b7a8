"""What every task shares: cards of trained models, and prediction of anyone's recordings."""
