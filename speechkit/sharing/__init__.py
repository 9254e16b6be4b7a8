"""Trained models as one file: weights, configuration and card, to give away and to take in."""
