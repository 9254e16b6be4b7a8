"""A folder of recordings, with transcripts, labels or scores beside them."""
