"""What stops a release: baselines, budgets, trends, the gate itself."""
