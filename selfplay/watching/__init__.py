"""Views of a run from outside: status, prompts, rollouts, the terminal."""
