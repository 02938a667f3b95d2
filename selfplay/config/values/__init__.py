"""Values that settings may have, places by name, and those that none may have: secrets."""
