"""What alerts bring: the visitors who are told of against the hold-out group."""
