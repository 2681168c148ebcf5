"""Everything that knows what a Triton model repository looks like: version folders, manifests, config, publishing."""
