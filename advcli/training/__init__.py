"""Networks learn here: recipes, augmentation and the loop."""
