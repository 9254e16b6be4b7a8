"""Acoustic models of the CTC kind, from safetensors and transformers folders."""
