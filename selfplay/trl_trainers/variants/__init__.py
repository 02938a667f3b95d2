"""Models that are not trained whole and dense: mixtures of experts."""
