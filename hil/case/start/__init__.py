"""`hil case new`: from a bare model to a case that runs. What cannot be known is guessed, and said to be a guess."""
