"""How large a proof runs: a default that `make test` can afford, and more with `make prove N=...`.

N is the number of cases of the cheapest proofs, such as commands against the model; dearer ones do one for
every so many of it.
"""

import os


def size(default: int, per: int) -> int:
    """The default, or one for every `per` of the environment variable N if that is more."""
    return max(default, int(os.environ.get("N", "0")) // per)
