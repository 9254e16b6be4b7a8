"""A page to speak into, and the same as JSON: ``speechkit serve``."""
