"""What operators read: usage, reconcile, library, health, doctor."""
