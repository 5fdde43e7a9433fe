"""Events sent in by storefronts: checked, and acknowledged by Kafka before the answer."""
