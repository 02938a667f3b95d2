"""GRPO's rollouts by vLLM's own server, in a process and on GPUs of its own: what runs it, asks it and is inside it."""
