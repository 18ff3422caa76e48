"""What the paper's abstract claims, tested on committed numbers: scores and utilities of real pools, without texts."""
