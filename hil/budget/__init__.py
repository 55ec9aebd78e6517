"""What a product may spend, what is planned, what a run found, and what is left."""
