"""Pictures: found, read, labelled and written."""
