"""``python -m mgenv``."""

import sys

from mgenv.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
