"""Learning one user on their own device: evidence, the posterior it gives, idle self-calibration."""
