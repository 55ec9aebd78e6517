"""What boards on a debug probe are driven through: probe and lock, target, clock check, serial log, check-up."""
