"""``python -m lascaux``: the command line."""

from .cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
