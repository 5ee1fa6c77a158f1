"""Pictures of results: coloured maps, panels and charts."""
