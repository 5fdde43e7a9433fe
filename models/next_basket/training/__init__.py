"""What needs torch or makes an artefact: the network over baskets, and the ranker's export."""
