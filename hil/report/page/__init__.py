"""The page that people read after a run: one HTML file without any network (docs/reports.md)."""
