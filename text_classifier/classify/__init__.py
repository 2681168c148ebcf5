"""How are texts classified from a shell? By any gateway that answers HTTP, with the client in client/."""
