"""State beside the visitors': demand, deletions."""
