"""Plans and runs stages. Knows the ports and the plan, never an adapter."""
