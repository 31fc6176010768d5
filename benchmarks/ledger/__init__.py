"""What the ledger costs, beside the usual design on the same disk in the same run."""
