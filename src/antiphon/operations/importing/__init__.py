"""What another proxy was configured with, as a plan of what becomes of it here. Nothing of it is executed."""
