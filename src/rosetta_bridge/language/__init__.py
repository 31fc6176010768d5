"""The files that authors write: read, merged, parsed and checked, before any request is seen."""
