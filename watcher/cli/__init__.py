"""The commands: parse, call, print. What a command does lives in the rooms; what it shows lives here."""
