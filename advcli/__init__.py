"""advcli asks a neural image classifier what it looks at, what fools it, and what it looks at when it is fooled."""

__version__ = "0.1.0"
