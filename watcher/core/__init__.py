"""Values and pure functions: what an instance, a change and an alert are, and who is told. No I/O."""
