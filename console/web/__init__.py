"""What people and programs see of the fleet: pages, live updates and the JSON API."""
