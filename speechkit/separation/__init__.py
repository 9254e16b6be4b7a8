"""Speech separation: mixtures, Conv-TasNet, losses that weigh hard samples more, evaluation."""
