"""GRPO's rollouts by vLLM: TRL's own generation, with the run's seeds, and a probe after every sync of the weights."""
