"""`python -m execution_arrow.cli`."""

import sys

from execution_arrow.cli import main

sys.exit(main())
