"""`python -m adaptive_island.cli`."""

from __future__ import annotations

import sys

from adaptive_island.cli import main

sys.exit(main())
