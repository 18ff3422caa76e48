"""The probabilistic reward model: which candidate is closest to what this user would write, and how sure that is."""
