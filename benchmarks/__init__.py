"""Side-by-side timings; each prints ratios against a named baseline."""
