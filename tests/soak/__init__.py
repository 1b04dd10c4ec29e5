"""Days of the whole daemon in seconds: what it holds after a week is what it held after a day."""
