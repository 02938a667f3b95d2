"""Whether two trees are the same answer."""
