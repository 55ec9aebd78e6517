"""What the checkout says beside its cases: commit, quarantine, and how its TOML files are read."""
