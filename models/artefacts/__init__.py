"""Artefacts: the folder of a trained model, its card, and what loads and asks it while a process runs."""
