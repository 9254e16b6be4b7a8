"""Pronunciation assessment: models, score-balanced losses, evaluation, prediction."""
