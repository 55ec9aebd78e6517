"""The accepted measurements of a case on a board: what they hold, and the file that keeps them (docs/baselines.md)."""
