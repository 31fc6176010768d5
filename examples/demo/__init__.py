"""The main job, end to end, on this machine: `python -m examples.demo`, or `make demo`.

Local servers speak the wire protocols of eight providers on real sockets and misbehave on purpose; an
`AsyncArrow` runs a dozen generations against them. Nothing leaves the machine and no key is needed.

`stories` is the programme, `stage` performs it, `screen` shows it, `proofs` checks every promise against
the providers' own books, the ledger and the disk, `report` sums up.
"""
