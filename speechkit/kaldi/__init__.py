"""Kaldi's formats: data directories (``data``), their checks (``validate``), ark/scp (``ark``)."""
