"""Figures about maps and runs: how alike two maps are, how sure a rate is."""
