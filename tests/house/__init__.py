"""The plan of the house as data, what the source says of itself, and the counts that `make house` prints."""
