"""Spectra: what the weights of a network say about how it learned, layer by layer and checkpoint by checkpoint."""
