"""Acoustic models behind one small interface, pronunciations, and alignment."""
