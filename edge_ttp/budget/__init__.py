"""What this machine is, what a candidate costs on it, and how many a request gets."""
