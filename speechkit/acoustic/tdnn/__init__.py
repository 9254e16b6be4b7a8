"""The TDNN acoustic model of train acoustic."""
