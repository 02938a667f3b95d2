"""Trainings whose model is cut over the ranks, by FSDP2 or by DeepSpeed's ZeRO, and the checkpoints that both write."""
