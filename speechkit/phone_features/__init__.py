"""Features of phones: goodness of pronunciation, deep features, prosody; and what reads them."""
