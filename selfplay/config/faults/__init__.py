"""The faults of settings, and where these were said, in sentences for the person who said them."""
