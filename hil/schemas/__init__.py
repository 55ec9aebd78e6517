"""JSON Schemas of case.toml, board files and release.toml, made from the models that read them."""
