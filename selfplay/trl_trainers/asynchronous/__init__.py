"""TRL's AsyncGRPOTrainer with this project's rollouts: a worker, the sync of weights, and the trainer that has both."""
