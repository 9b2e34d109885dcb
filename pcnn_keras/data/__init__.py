"""Data: pixels, images, masks, sources of images, and the pipeline that feeds the training."""
