"""The pure steps of a batch: records read, merged by time, applied."""
