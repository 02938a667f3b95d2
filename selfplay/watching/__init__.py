"""What a person sees of a run from outside: status, prompts, rollouts, the terminal."""
