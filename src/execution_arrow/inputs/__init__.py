"""The files that a request names, put where its mapping wants their bytes."""
