"""Studies: spaces, workers that pull trials, leases, exact budgets, results."""
