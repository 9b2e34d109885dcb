"""The network: layers, the two networks, the model that joins them, its losses."""
