"""Kaldi's formats: data directories (``data``), their parts (``subset``), ark/scp (``ark``)."""
