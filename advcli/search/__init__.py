"""What runs attacks: rows that flow, success as saved on disk, outcomes, members and restarts, budgets."""
