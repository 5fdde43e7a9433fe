"""The loop `storepulse learn`: trains candidates of models, checks them, and decides by the live figures."""
