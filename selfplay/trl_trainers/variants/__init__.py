"""Models that are not trained whole and dense: mixtures of experts, and bases in 4 bits."""
