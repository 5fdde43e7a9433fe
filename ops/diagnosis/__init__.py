"""What is wrong and how far along: the doctor's checks, and the status of a running installation."""
