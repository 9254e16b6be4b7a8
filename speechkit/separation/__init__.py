"""Speech separation: making mixtures, Conv-TasNet, losses that look at the tail, evaluation."""
