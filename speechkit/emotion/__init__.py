"""Emotion of speech: upstream models, classifiers, and their evaluation."""
