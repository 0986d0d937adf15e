"""Forwards, discount factors and carry implied from quotes, and the clock they run on."""
