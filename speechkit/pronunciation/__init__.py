"""Pronunciation assessment: GOP features, models, score-balanced losses, prediction."""
