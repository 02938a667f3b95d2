"""Sets of problems that models are measured on: named ones, and people's own."""
