"""A page for inpainting by hand."""
