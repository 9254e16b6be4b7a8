"""What a set says of its utterances: phones, scores, raters, emotions, splits, mixtures."""
