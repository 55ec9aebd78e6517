"""The project beside its cases: where it and what hil brings along lie, commit, quarantine, its TOML files."""
