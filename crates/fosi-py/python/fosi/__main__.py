"""``python -m fosi --version``."""

import argparse

from fosi import __version__


def main() -> None:
    """Answer what is asked on the command line."""
    parser = argparse.ArgumentParser(prog="fosi", description="Minimising without a learning rate, from Python.")
    parser.add_argument("--version", action="version", version=f"fosi {__version__}")
    parser.parse_args()
    parser.print_help()


if __name__ == "__main__":
    main()
