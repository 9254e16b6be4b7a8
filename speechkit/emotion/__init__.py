"""Emotion of speech: splits, upstream models, classifiers, and their evaluation."""
