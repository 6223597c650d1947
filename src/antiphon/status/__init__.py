"""How well requests are answered: what counts, uptime, alerts, incidents."""
