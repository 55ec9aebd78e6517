"""`hil init`: a starting project around a model."""
