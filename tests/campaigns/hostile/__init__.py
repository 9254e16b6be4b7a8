"""Hostile inputs, a module for each kind; ``hostile_inputs.py`` runs them."""
