"""Classifiers: networks found, loaded and held to one contract."""
