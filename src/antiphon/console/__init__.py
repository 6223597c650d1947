"""The console: pages for people who use or run the platform, over the services that the API uses."""
