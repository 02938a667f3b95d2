"""The metrics of a run. Local files are the truth; W&B, TensorBoard and trackio get copies.

metrics.jsonl and tables/ are written first and at once (`tracker`). A process of its own for each tracker (`mirror`)
reads them and passes on what is new, so that no tracker can stop or slow the run, and what did not arrive can be sent
later.
"""
