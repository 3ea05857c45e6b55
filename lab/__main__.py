"""``python -m lab`` is ``tlslab``."""

from lab.cli import main

if __name__ == "__main__":
    main(prog_name="tlslab")
