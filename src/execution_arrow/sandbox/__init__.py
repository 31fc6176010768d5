"""Local inference providers for tests and demonstrations: real sockets, real wire protocols, faults, bills.

```python
from execution_arrow.sandbox import Fault, Sandbox

with Sandbox(faults={"fal": [Fault("lost_reply", times=1)]}, seed=7) as sandbox:
    print(sandbox.base_url("replicate"), sandbox.url)
    sandbox.fault("byteplus", "down")
    ...
    print(sandbox.bills())
```

Result files are real pictures and clips of the size asked for. Needs the extra `sandbox` for sockets
(uvicorn), pictures (Pillow) and clips (PyAV); each is imported when it is used.
"""

from execution_arrow.sandbox.box import PROVIDERS, Sandbox
from execution_arrow.sandbox.clock import VirtualClock
from execution_arrow.sandbox.faults import KINDS, Fault, parse_fault
from execution_arrow.sandbox.pointing import options
from execution_arrow.sandbox.prices import Rate
from execution_arrow.sandbox.work import Bill, Job, Received, State, Timing

__all__ = [
    "KINDS",
    "PROVIDERS",
    "Bill",
    "Fault",
    "Job",
    "Rate",
    "Received",
    "Sandbox",
    "State",
    "Timing",
    "VirtualClock",
    "options",
    "parse_fault",
]
