"""The machine, on one page: what a run finds here, what it lacks, and what mends that."""
