"""``python -m fosi --version``."""

import argparse

from fosi import __version__


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="fosi", description="The Python package fosi: minimisation without a learning rate.")
    parser.add_argument("--version", action="version", version=f"fosi {__version__}")
    parser.parse_args()
    parser.print_help()


if __name__ == "__main__":
    main()
