"""Writes a board file from what another tool's file says, or from what is plugged in."""
