"""Diagnosis of a reward model from scored pools: reading them, judging, saying it in words, numbers and pictures."""
