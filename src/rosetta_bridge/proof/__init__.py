"""What mappings are measured by: every eligible request against the providers' own input schemas."""
