"""Versions of models: the command `storepulse models`, and the writer of steps that the learner uses too."""
