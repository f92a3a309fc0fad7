"""`python -m raccord` is `raccord`."""

import sys

from raccord.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
