"""What a shell is told of the `hil` command: its commands at a glance, and the completion of what is typed."""
