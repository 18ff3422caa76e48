"""The measurements behind docs/measured/. Ratios come from one run: this machine's speed cancels out."""
