"""The report: everything in a working directory on one self-contained page."""
