"""A SavedModel for TF Serving."""
