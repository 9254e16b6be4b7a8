"""What training has in common: resumable batches, the fit loop, seeds in one, packed layers."""
