"""Where recommended products come from: each source finds candidates, and says why of those chosen."""
