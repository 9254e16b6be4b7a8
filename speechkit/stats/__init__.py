"""Statistics that several tasks use: bootstrap over speakers, correlations, comparisons."""
