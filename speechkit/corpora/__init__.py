"""Corpora as published (or anyone's own folder) -> sets in Kaldi's format, one file per corpus.

Each module reads a layout into a :class:`~speechkit.corpora.common.Corpus`;
:func:`speechkit.corpora.write.write_corpus` checks it and writes its sets.
"""
