"""What training has in common: seeds, resumable batches, the fit loop, logs."""
