"""Results, ours for good: collected, recognised, kept in a folder or a bucket, and swept."""
