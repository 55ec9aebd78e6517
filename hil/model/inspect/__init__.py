"""`hil model inspect`: what a bare model is made of, what it costs, and what the firmware's engine says of it."""
