"""What the API does about webhooks: endpoints, their deliveries, and answers about them."""
