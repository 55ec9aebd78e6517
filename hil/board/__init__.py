"""What runs the firmware, and how each kind of board is reached."""
