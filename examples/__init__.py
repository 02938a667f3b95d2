"""Programs that use the packages as a user would; no part of the distribution."""
