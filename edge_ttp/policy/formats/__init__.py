"""Which format of a policy is fastest here within a limit of loss: what `models derive` needs."""
