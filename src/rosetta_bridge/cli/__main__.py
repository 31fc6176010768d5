"""`python -m rosetta_bridge.cli`."""

from __future__ import annotations

import sys

from rosetta_bridge.cli import main

sys.exit(main())
