"""Training of networks: data augmentation, recipes, objectives, the loop, and what is measured on weights."""
