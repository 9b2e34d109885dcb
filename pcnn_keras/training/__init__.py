"""Training: a run, and the devices it runs on."""
