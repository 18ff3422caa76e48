"""The measurements behind docs/performance.md. Ratios come from one run: this machine's speed cancels out."""
