"""Where Antiphon's parts come from: checks of the locks, a bill of materials, releases that are signed."""
