"""What an image takes of flash and RAM, and what changed between two: the command."""
