"""Other people's interpreters, each in a process of its own: what they do to it, they do to nobody else."""
