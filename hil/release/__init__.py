"""The record of a release: packed, signed, verified."""
