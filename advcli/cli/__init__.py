"""The command line: parse, call the engine, show. The only room that prints, or knows typer and rich."""
