"""``python -m advcli`` is ``advcli``."""

from advcli.cli.app import main

if __name__ == "__main__":
    main()
