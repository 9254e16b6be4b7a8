"""When each phone is said: Viterbi alignment over a graph of readings."""
