"""What the subcommands do, one function each, without printing anything."""
