"""A stored run judged again, and made the accepted baseline of a case on a board."""
